# What every cloud takes; each links to this file. example.tfvars shows values.

# Begins the names of all resources.
variable "name" { type = string }

# staging or production: each has an account, project or subscription of its own, and environments on GitHub.
variable "environment" { type = string }

# As the cloud names it.
variable "region" { type = string }

# small, medium or large: nodes, replicas and Redis.
variable "size" { type = string }

# The service's name, such as app.example.org; a DNS zone is made for it.
variable "domain" { type = string }

# owner/name: whose GitHub Actions may plan and apply. Tokens are compared as a whole: a pattern matches none.
variable "github_repository" { type = string }

# Who reaches the Kubernetes API: from which networks, and its administrators as the cloud names them (docs/CLOUD.md).
variable "api_access" {
  type = object({ networks = list(string), administrators = list(string) })
  validation {
    condition     = length(var.api_access.networks) > 0 && !contains(var.api_access.networks, "0.0.0.0/0")
    error_message = "api_access.networks must name networks, and not the whole internet."
  }
}

# A month, in the account's currency, and who is told before it is spent.
variable "budget" { type = object({ amount = number, email = string }) }

# Raise it by one to renew the secrets.
variable "secrets_version" { type = number }
