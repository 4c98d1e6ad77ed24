# What every cloud says alike; each links to this file.

locals {
  name = "${var.name}-${var.environment}"
  # Of the variables name, environment, size, domain, github_repository and the networks of api_access.
  form = "^[a-z][a-z0-9-]{0,15}[a-z0-9] (staging|production) (small|medium|large) ([a-z0-9-]+\\.)+[a-z][a-z0-9-]+ [\\w-]+(@\\d+)?/[\\w.-]+(@\\d+)?( [\\d.]+/[1-9]\\d?)+$"
  # Whom GitHub's signed tokens must name. A pull request can only become plan, one of a fork nobody.
  subjects = {
    plan  = "repo:${var.github_repository}:environment:${var.environment}-plan"
    apply = "repo:${var.github_repository}:environment:${var.environment}"
    main  = "repo:${var.github_repository}:ref:refs/heads/main"
  }
  secrets = { for name, made in ephemeral.random_password.secret : name => made.result }
  # What the templates read; the cloud adds its own.
  filled = merge({ name = var.name, domain = var.domain, region = var.region, web = local.size.web, secret = local.name, email = var.budget.email }, local.values)
  access = [for file in fileset(path.module, "access.yaml.tftpl") : yamldecode(templatefile("${path.module}/${file}", local.filled))]
  prices = jsondecode(file("${path.module}/prices.json")).items
  # To be looked up.
  unknown = [for name, item in local.prices : "${item[var.size]} x ${name}" if item.usd == null && item[var.size] > 0]
}

# Never in the state. They change only with secrets_version.
ephemeral "random_password" "secret" {
  for_each = toset(["secret_key", "api_token", "redis_password"])
  length   = 48
  special  = false
}

# The image's name there, without a tag.
output "registry" { value = local.values.registry }

# For kubectl apply, before the chart; nothing where the cloud has no secret store.
output "manifests" { value = join("", [for one in local.access : templatefile("${path.module}/manifests.yaml.tftpl", merge(local.filled, one))]) }

# For helm upgrade --values.
output "helm_values" { value = join("", [for part in ["common", "cloud"] : templatefile("${path.module}/${part}.yaml.tftpl", local.filled)]) }

# Without tax, traffic and logs.
output "monthly_cost_estimate" { value = { known_usd = sum([for item in local.prices : item[var.size] * coalesce(item.usd, 0)]), unknown = local.unknown } }
