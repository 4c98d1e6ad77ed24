terraform {
  required_version = ">= 1.12"
  required_providers {
    aws    = { source = "hashicorp/aws", version = "6.69.1" }
    random = { source = "hashicorp/random", version = "3.9.1" }
  }
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" { region = var.region }

data "aws_caller_identity" "current" {}

data "aws_availability_zones" "available" {
  filter {
    name   = "zone-name"
    values = [for letter in ["a", "b", "c", "d", "e", "f"] : "${var.region}${letter}"]
  }
}

locals {
  size = {
    small  = { zones = 2, replicas = 1, redis = "cache.t4g.small", web = 2 }
    medium = { zones = 3, replicas = 1, redis = "cache.m7g.large", web = 3 }
    large  = { zones = 3, replicas = 2, redis = "cache.r7g.large", web = 6 }
  }[var.size]
  network  = "10.0.0.0/16"
  policies = "arn:aws:iam::aws:policy"
  # For the templates.
  values = {
    registry  = aws_ecr_repository.service.repository_url
    redis_url = "rediss://${aws_elasticache_replication_group.redis.primary_endpoint_address}:6379/0"
    addresses = join(",", aws_eip.ingress[*].allocation_id)
    zone      = aws_route53_zone.service.zone_id
  }
}

module "vpc" {
  source = "git::https://github.com/terraform-aws-modules/terraform-aws-vpc.git?ref=82d1929e669efef4e2ad00611b8a68e7a56e049c" # v6.6.0

  name            = local.name
  cidr            = local.network
  azs             = slice(data.aws_availability_zones.available.names, 0, local.size.zones)
  private_subnets = [for index in range(local.size.zones) : cidrsubnet(local.network, 4, index)]
  public_subnets  = [for index in range(local.size.zones) : cidrsubnet(local.network, 8, index + 48)]
  # Redis: no way to the internet.
  elasticache_subnets = [for index in range(local.size.zones) : cidrsubnet(local.network, 8, index + 52)]

  enable_nat_gateway  = true
  single_nat_gateway  = var.size == "small"
  public_subnet_tags  = { "kubernetes.io/role/elb" = 1 }
  private_subnet_tags = { "kubernetes.io/role/internal-elb" = 1 }
}

# Auto Mode: nodes, their upgrades, load balancers and volumes are Amazon's work. Secrets are encrypted by a key of the module's.
module "eks" {
  source = "git::https://github.com/terraform-aws-modules/terraform-aws-eks.git?ref=bef29c4d9523523e57fe898643fde2895106b339" # v21.19.0

  name                         = local.name
  kubernetes_version           = "1.35"
  compute_config               = { enabled = true, node_pools = ["general-purpose", "system"] }
  vpc_id                       = module.vpc.vpc_id
  subnet_ids                   = module.vpc.private_subnets
  enable_irsa                  = false # pods have identities by EKS Pod Identity
  endpoint_public_access       = true
  endpoint_public_access_cidrs = var.api_access.networks
  enabled_log_types            = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
  access_entries = { for arn in var.api_access.administrators : arn => {
    principal_arn = arn
    policy_associations = { admin = {
      policy_arn   = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
      access_scope = { type = "cluster" }
    } }
  } }
}

# Redis, secrets and images.
resource "aws_kms_key" "data" {
  enable_key_rotation = true
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { AWS = data.aws_caller_identity.current.account_id }, Action = "kms:*", Resource = "*" }]
  })
}

resource "aws_elasticache_replication_group" "redis" {
  #checkov:skip=CKV_AWS_31: it has an auth token, as auth_token_wo, which this check does not know
  replication_group_id       = local.name
  description                = "Items, sessions and cache"
  engine                     = "valkey"
  engine_version             = "8.0"
  node_type                  = local.size.redis
  num_cache_clusters         = local.size.replicas + 1
  automatic_failover_enabled = true
  multi_az_enabled           = true
  subnet_group_name          = module.vpc.elasticache_subnet_group_name
  security_group_ids         = [module.eks.cluster_primary_security_group_id] # whose members reach each other
  at_rest_encryption_enabled = true
  kms_key_id                 = aws_kms_key.data.arn
  transit_encryption_enabled = true
  auth_token_wo              = local.secrets["redis_password"]
  auth_token_wo_version      = var.secrets_version
  snapshot_retention_limit   = 7
  final_snapshot_identifier  = "${local.name}-final"

  lifecycle { prevent_destroy = true }
}

resource "aws_secretsmanager_secret" "service" {
  #checkov:skip=CKV2_AWS_57: renewed by secrets_version, together with Redis, which a rotation by Lambda would not do
  name       = local.name
  kms_key_id = aws_kms_key.data.arn
}

resource "aws_secretsmanager_secret_version" "service" {
  secret_id                = aws_secretsmanager_secret.service.id
  secret_string_wo         = jsonencode(merge(local.secrets, { redis_url = local.values.redis_url }))
  secret_string_wo_version = var.secrets_version
}

resource "aws_ecr_repository" "service" {
  name                 = var.name
  image_tag_mutability = "IMMUTABLE"
  force_delete         = true
  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = aws_kms_key.data.arn
  }
  image_scanning_configuration { scan_on_push = true }
}

resource "aws_route53_zone" "service" {
  #checkov:skip=CKV2_AWS_38: DNSSEC needs a record at the domain's registrar: a step for when that domain is signed itself
  #checkov:skip=CKV2_AWS_39: queries are answered by Amazon and tell nothing of the service
  name          = var.domain
  force_destroy = true
}

resource "aws_eip" "ingress" {
  #checkov:skip=CKV2_AWS_19: the load balancer of the chart takes them
  count = local.size.zones
}

resource "aws_route53_record" "service" {
  zone_id = aws_route53_zone.service.zone_id
  name    = var.domain
  type    = "A"
  ttl     = 300
  records = aws_eip.ingress[*].public_ip
}

# What reads secrets, and what proves to Let's Encrypt that the domain is ours.
module "pod_identity" {
  source   = "git::https://github.com/terraform-aws-modules/terraform-aws-eks-pod-identity.git?ref=2cbd87e243fcbf74385331dcf983e273eeb7aa36" # v2.8.1
  for_each = { secrets = "external-secrets", certs = "cert-manager" }

  name                                  = "${local.name}-${each.key}"
  attach_external_secrets_policy        = each.key == "secrets"
  external_secrets_secrets_manager_arns = [aws_secretsmanager_secret.service.arn]
  external_secrets_kms_key_arns         = [aws_kms_key.data.arn]
  attach_cert_manager_policy            = each.key == "certs"
  cert_manager_hosted_zone_arns         = [aws_route53_zone.service.arn]
  associations                          = { this = { cluster_name = module.eks.cluster_name, namespace = each.value, service_account = each.value } }
}

resource "aws_iam_openid_connect_provider" "github" {
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

# plan cannot read a secret's value. apply may make roles, so in effect everything: its environment asks for an approval.
module "ci" {
  source = "git::https://github.com/terraform-aws-modules/terraform-aws-iam.git//modules/iam-role?ref=981121bcd17618b8ed032223c0d9e647b9277ef9" # v6.5.0
  for_each = {
    plan  = { ReadOnly = "${local.policies}/ReadOnlyAccess" }
    apply = { PowerUser = "${local.policies}/PowerUserAccess", IAM = "${local.policies}/IAMFullAccess" }
    main  = { ReadOnly = "${local.policies}/ReadOnlyAccess", Images = "${local.policies}/AmazonEC2ContainerRegistryPowerUser" }
  }

  name               = "${local.name}-${each.key}"
  use_name_prefix    = false
  enable_github_oidc = true
  oidc_subjects      = [local.subjects[each.key]]
  policies           = each.value
  # To refresh a secret's version, its value is read.
  create_inline_policy = each.key == "main"
  inline_policy_permissions = { secret = {
    actions   = ["secretsmanager:GetSecretValue", "kms:Decrypt"]
    resources = [aws_secretsmanager_secret.service.arn, aws_kms_key.data.arn]
  } }
}

resource "aws_budgets_budget" "monthly" {
  name         = local.name
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.budget.amount)
  limit_unit   = "USD"
  notification {
    comparison_operator        = "GREATER_THAN"
    notification_type          = "FORECASTED"
    threshold                  = 100
    threshold_type             = "PERCENTAGE"
    subscriber_email_addresses = [var.budget.email]
  }
}

output "kubeconfig_command" { value = "aws eks update-kubeconfig --region ${var.region} --name ${local.name}" }
output "redis_url_secret" { value = "aws secretsmanager get-secret-value --region ${var.region} --secret-id ${local.name} --query SecretString --output text" }
output "ingress_address" { value = join(" ", aws_eip.ingress[*].public_ip) }
output "name_servers" { value = aws_route53_zone.service.name_servers }
output "oidc_role" { value = { for name, role in module.ci : name => role.arn } }
