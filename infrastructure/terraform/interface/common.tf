# What every cloud says alike; each links to this file.

locals {
  name = "${var.name}-${var.environment}"
  # Whom GitHub's signed tokens must name. A pull request can only become plan, one of a fork nobody.
  subjects = {
    plan  = "repo:${var.github_repository}:environment:${var.environment}-plan"
    apply = "repo:${var.github_repository}:environment:${var.environment}"
    main  = "repo:${var.github_repository}:ref:refs/heads/main"
  }
  prices      = jsondecode(file("${path.module}/prices.json"))
  needed      = local.prices.needed[var.size]
  certificate = { tls = { issuer = { name = "letsencrypt", kind = "ClusterIssuer" }, hosts = [var.domain] } }
  helm_values = merge({ for name, value in local.certificate : name => value if local.outputs.manifests != "" }, {
    image          = { repository = local.outputs.registry }
    existingSecret = var.name
    autoscaling    = { enabled = true, minReplicas = local.size.web, maxReplicas = local.size.web * 3 }
    config         = { TRUSTED_HOSTS = var.domain }
  })
}

# Never in the state. They change only with secrets_version.
ephemeral "random_password" "secret" {
  for_each = toset(["secret_key", "api_token", "redis_password"])
  length   = 48
  special  = false
}

output "kubeconfig_command" { value = local.outputs.kubeconfig_command } # lets kubectl reach the cluster
output "registry" { value = local.outputs.registry }                     # the image's name there, without a tag
output "redis_url_secret" { value = local.outputs.redis_url_secret }     # the command that shows it
output "ingress_address" { value = local.outputs.ingress_address }       # where the domain leads
output "name_servers" { value = local.outputs.name_servers }             # NS records to set where the domain is registered
output "oidc_role" { value = local.outputs.oidc_role }                   # what GitHub Actions becomes: plan, apply, main
output "manifests" { value = local.outputs.manifests }                   # for kubectl apply, before the chart
output "helm_values" { value = yamlencode(merge(local.helm_values, local.outputs.helm_values)) }

# Without tax, traffic and logs. A price that prices.json does not name is yours to look up: unknown lists them.
output "monthly_cost_estimate" {
  value = {
    known_usd = sum([for item, count in local.needed : count * coalesce(local.prices.usd_a_month[item], 0)])
    unknown   = [for item, count in local.needed : "${count} x ${item}" if local.prices.usd_a_month[item] == null]
    prices    = "${local.prices.source}, read ${local.prices.read}"
  }
}
