# What every cloud takes; each links to this file. example.tfvars shows values.

# Begins the names of all resources.
variable "name" {
  type    = string
  default = "devops-starter"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,15}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 17 lower-case letters, digits and hyphens, such as devops-starter."
  }
}

# Each has an account, project or subscription of its own.
variable "environment" {
  type = string
  validation {
    condition     = contains(["staging", "production"], var.environment)
    error_message = "environment must be staging or production."
  }
}

# As the cloud names it.
variable "region" { type = string }

# Nodes, replicas and Redis.
variable "size" {
  type    = string
  default = "small"
  validation {
    condition     = contains(["small", "medium", "large"], var.size)
    error_message = "size must be small, medium or large."
  }
}

# The service's name, such as app.example.org; a DNS zone is made for it.
variable "domain" { type = string }

# owner/name: whose GitHub Actions may plan and apply.
variable "github_repository" {
  type = string
  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository must be owner/name, without wildcards."
  }
}

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
