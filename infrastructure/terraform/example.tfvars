# Copy it to CLOUD/staging.tfvars or CLOUD/production.tfvars; interface/variables.tf says what each means.
# For github_repository: gh api repos/OWNER/NAME --jq '"\(.owner.login)@\(.owner.id)/\(.name)@\(.id)"'
name              = "devops-starter"
environment       = "staging"
region            = "eu-central-1"
size              = "small"
domain            = "staging.example.org"
github_repository = "your-name@123/devops-starter@456"
api_access        = { networks = ["203.0.113.7/32"], administrators = [] } # you, except on DigitalOcean
budget            = { amount = 300, email = "you@example.org" }
secrets_version   = 1
