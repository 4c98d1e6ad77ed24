# What the agent of one deployment may do: read its own secrets, nothing else.
path "kv/data/devops-starter" {
  capabilities = ["read"]
}

# A user of Redis for an hour at most.
path "database/creds/devops-starter" {
  capabilities = ["read"]
}

# nginx' certificate, for a day at most.
path "pki/issue/devops-starter" {
  capabilities = ["create", "update"]
}
