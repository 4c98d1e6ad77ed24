# What every cloud takes; each links to this file. example.tfvars shows values.

# Begins the names of all resources.
variable "name" { type = string }

# staging or production: each has an account, project or subscription of its own, and environments on GitHub.
variable "environment" { type = string }

# As the cloud names it.
variable "region" { type = string }

# small, medium or large: nodes, replicas and Redis.
variable "size" {
  type = string
  # For all variables in one, before anything is made.
  validation {
    condition     = can(regex(local.form, join(" ", concat([var.name, var.environment, var.size, var.domain, var.github_repository], var.api_access.networks))))
    error_message = "Expected: name: 2 to 17 lower-case letters, digits and hyphens; environment: staging or production; size: small, medium or large; domain: as app.example.org; github_repository: as owner@123/name@456; api_access.networks: as 203.0.113.7/32, not the whole internet."
  }
}

# The service's name, such as app.example.org; a DNS zone is made for it.
variable "domain" { type = string }

# owner@ID/name@ID: whose GitHub Actions may plan and apply. Tokens are compared as a whole: a pattern matches none.
# Without the two IDs for a repository from before July 15, 2026, until it is renamed or opts in to immutable subjects.
variable "github_repository" { type = string }

# Who reaches the Kubernetes API: from which networks, and its administrators as the cloud names them (docs/CLOUD.md).
variable "api_access" { type = object({ networks = list(string), administrators = list(string) }) }

# A month, in the account's currency, and who is told before it is spent.
variable "budget" { type = object({ amount = number, email = string }) }

# Raise it by one to renew the secrets.
variable "secrets_version" { type = number }
