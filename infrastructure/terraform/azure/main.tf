terraform {
  required_version = ">= 1.12"
  required_providers {
    azapi   = { source = "Azure/azapi", version = "2.13.0" }
    azurerm = { source = "hashicorp/azurerm", version = "5.10.0" }
    random  = { source = "hashicorp/random", version = "3.9.1" }
  }
  # Locked by a lease of the blob, encrypted by the storage account.
  backend "azurerm" { use_azuread_auth = true }
}

provider "azurerm" {
  features {}
}

data "azurerm_subscription" "current" {}

locals {
  size = {
    small  = { redis = "Balanced_B0", web = 2 }
    medium = { redis = "Balanced_B3", web = 3 }
    large  = { redis = "Balanced_B10", web = 6 }
  }[var.size]
  # Names of registries and vaults are unique in the world.
  unique     = "ds${substr(md5("${data.azurerm_subscription.current.id}/${local.name}"), 0, 12)}"
  principals = { for name, identity in azurerm_user_assigned_identity.this : name => identity.principal_id }
  # For the templates.
  values = {
    registry     = "${azurerm_container_registry.service.login_server}/${var.name}"
    redis_url    = "rediss://${azurerm_managed_redis.redis.hostname}:10000/0"
    address      = azurerm_public_ip.ingress.name
    vault        = azurerm_key_vault.service.vault_uri
    identities   = azurerm_user_assigned_identity.this
    subscription = data.azurerm_subscription.current
  }
}

resource "azurerm_resource_group" "this" {
  name     = local.name
  location = var.region
}

module "network" {
  source = "git::https://github.com/Azure/terraform-azurerm-avm-res-network-virtualnetwork.git?ref=462587b51f3cb91bac6ca3bf6d8eff93ba13f6f5" # v0.22.1

  name          = local.name
  parent_id     = azurerm_resource_group.this.id
  location      = var.region
  address_space = ["10.0.0.0/16"]
  subnets = {
    nodes   = { name = "nodes", address_prefix = "10.0.0.0/18" }
    system  = { name = "system", address_prefix = "10.0.64.0/24" }
    private = { name = "private", address_prefix = "10.0.65.0/24" }
    api     = { name = "api", address_prefix = "10.0.66.0/24", delegations = [{ name = "cluster", service_delegation = { name = "Microsoft.ContainerService/managedClusters" } }] }
  }
  role_assignments = { cluster = { role_definition_id_or_name = "Network Contributor", principal_id = local.principals["cluster"] } }
  enable_telemetry = false
}

# The cluster's own, what proves to Let's Encrypt that the domain is ours, what reads secrets, and GitHub Actions.
resource "azurerm_user_assigned_identity" "this" {
  for_each            = toset(["cluster", "cert-manager", "secrets-reader", "plan", "apply", "main"])
  name                = "${local.name}-${each.key}"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
}

resource "azurerm_federated_identity_credential" "this" {
  for_each = merge({ for name, subject in local.subjects : name => { issuer = "https://token.actions.githubusercontent.com", subject = subject } }, {
    cert-manager   = { issuer = module.cluster.oidc_issuer_profile_issuer_url, subject = "system:serviceaccount:cert-manager:cert-manager" }
    secrets-reader = { issuer = module.cluster.oidc_issuer_profile_issuer_url, subject = "system:serviceaccount:${var.name}:secrets-reader" }
  })
  name                      = each.key
  user_assigned_identity_id = azurerm_user_assigned_identity.this[each.key].id
  audience                  = ["api://AzureADTokenExchange"]
  issuer                    = each.value.issuer
  subject                   = each.value.subject
}

# To compare Redis with the state, the provider reads its keys, which a Reader may not.
resource "azurerm_role_definition" "redis_keys" {
  name  = "${local.name}-redis-keys"
  scope = azurerm_resource_group.this.id
  permissions { actions = ["Microsoft.Cache/redisEnterprise/databases/listKeys/action"] }
}

# apply may give rights, so in effect everything: its environment asks for an approval.
resource "azurerm_role_assignment" "this" {
  for_each = merge({
    address = { who = local.principals["cluster"], role = "Network Contributor", scope = azurerm_resource_group.this.id }
    pull    = { who = module.cluster.kubelet_identity.objectId, role = "AcrPull", scope = azurerm_container_registry.service.id }
    dns     = { who = local.principals["cert-manager"], role = "DNS Zone Contributor", scope = azurerm_dns_zone.service.id }
    secrets = { who = local.principals["secrets-reader"], role = "Key Vault Secrets User", scope = azurerm_key_vault.service.id }
    keys    = { who = local.principals["main"], role = azurerm_role_definition.redis_keys.name, scope = azurerm_resource_group.this.id }
    import  = { who = local.principals["main"], role = "Contributor", scope = azurerm_container_registry.service.id }
    apply   = { who = local.principals["apply"], role = "Owner", scope = data.azurerm_subscription.current.id }
    }, { for name in ["plan", "main"] : name => { who = local.principals[name], role = "Reader", scope = data.azurerm_subscription.current.id } },
  { for id in var.api_access.administrators : id => { who = id, role = "Azure Kubernetes Service RBAC Cluster Admin", scope = module.cluster.resource_id } })
  principal_id         = each.value.who
  role_definition_name = each.value.role
  scope                = each.value.scope
}

# Automatic: nodes, their upgrades and network policies are Azure's work, and its etcd is encrypted by Azure's key.
module "cluster" {
  source = "git::https://github.com/Azure/terraform-azurerm-avm-res-containerservice-managedcluster.git?ref=2802831334a48042067aeff0be67212947cd3cfb" # v0.8.1

  name                      = local.name
  parent_id                 = azurerm_resource_group.this.id
  location                  = var.region
  sku                       = { name = "Automatic", tier = "Standard" }
  managed_identities        = { user_assigned_resource_ids = [azurerm_user_assigned_identity.this["cluster"].id] }
  api_server_access_profile = { subnet_id = module.network.subnets["api"].resource_id, authorized_ip_ranges = var.api_access.networks }
  default_agent_pool        = { vnet_subnet_id = module.network.subnets["nodes"].resource_id }
  hosted_system_profile     = { enabled = true, node_subnet_id = module.network.subnets["nodes"].resource_id, system_node_subnet_id = module.network.subnets["system"].resource_id }
  # No ingress controller: the chart has nginx. Without the two that say Disabled, the module fails.
  ingress_profile = { gateway_api = { installation = "Disabled" }, web_app_routing = { enabled = true, gateway_api_implementations = { app_routing_istio = { mode = "Disabled" } }, nginx = { default_ingress_controller_type = "None" } } }
  diagnostic_settings = { control-plane = {
    workspace_resource_id = azurerm_log_analytics_workspace.this.id
    log_groups            = [], log_categories = ["kube-apiserver", "kube-audit-admin", "kube-controller-manager", "kube-scheduler", "guard"]
  } }
  enable_telemetry = false
  depends_on       = [module.network] # and with it, the right to use it
}

resource "azurerm_log_analytics_workspace" "this" {
  name                = local.name
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
}

resource "azurerm_managed_redis" "redis" {
  name                  = local.name
  resource_group_name   = azurerm_resource_group.this.name
  location              = var.region
  sku_name              = local.size.redis
  public_network_access = "Disabled"
  default_database {
    access_keys_authentication_enabled          = true
    clustering_policy                           = "NoCluster"
    persistence_redis_database_backup_frequency = "12h"
  }
  lifecycle { prevent_destroy = true }
}

# Redis, secrets and images are reached from the cluster's network alone. Terraform and az act through Azure's own API.
module "private_dns" {
  source   = "git::https://github.com/Azure/terraform-azurerm-avm-res-network-privatednszone.git?ref=da8b7599c740d344de310ffa8cbe32c61322a809" # v0.5.0
  for_each = { redisEnterprise = "redis.azure.net", vault = "vaultcore.azure.net", registry = "azurecr.io" }

  domain_name           = "privatelink.${each.value}"
  parent_id             = azurerm_resource_group.this.id
  virtual_network_links = { cluster = { name = local.name, virtual_network_id = module.network.resource_id } }
  enable_telemetry      = false
}

resource "azurerm_private_endpoint" "this" {
  for_each            = { redisEnterprise = azurerm_managed_redis.redis.id, vault = azurerm_key_vault.service.id, registry = azurerm_container_registry.service.id }
  name                = "${local.name}-${each.key}"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
  subnet_id           = module.network.subnets["private"].resource_id
  private_service_connection {
    name                           = each.key
    is_manual_connection           = false
    private_connection_resource_id = each.value
    subresource_names              = [each.key]
  }
  private_dns_zone_group {
    name                 = each.key
    private_dns_zone_ids = [module.private_dns[each.key].resource_id]
  }
}

resource "azurerm_key_vault" "service" {
  #checkov:skip=CKV_AZURE_109: no network reaches it but by its private endpoint, so that there are no rules to set
  name                          = local.unique
  resource_group_name           = azurerm_resource_group.this.name
  location                      = var.region
  tenant_id                     = data.azurerm_subscription.current.tenant_id
  sku_name                      = "standard"
  rbac_authorization_enabled    = true
  purge_protection_enabled      = true
  public_network_access_enabled = false
}

resource "azapi_resource" "secret" {
  type                   = "Microsoft.KeyVault/vaults/secrets@2023-07-01"
  name                   = local.name
  parent_id              = azurerm_key_vault.service.id
  sensitive_body         = { properties = { value = jsonencode(merge(local.secrets, { redis_password = azurerm_managed_redis.redis.default_database[0].primary_access_key })) } }
  sensitive_body_version = { "properties.value" = tostring(var.secrets_version) }
}

resource "azurerm_container_registry" "service" {
  #checkov:skip=CKV_AZURE_164: the provider no longer has this argument, because Azure ends Docker's content trust
  #checkov:skip=CKV_AZURE_165: one region; images come again from the pipeline's registry
  #checkov:skip=CKV_AZURE_166: a quarantine needs a scanner that ends it, which Defender does not
  #checkov:skip=CKV_AZURE_237: for firewalls outside of the network; here data come by the private endpoint too
  name                          = local.unique
  resource_group_name           = azurerm_resource_group.this.name
  location                      = var.region
  sku                           = "Premium"
  zone_redundancy_enabled       = true
  public_network_access_enabled = false
  retention_policy_in_days      = 7
}

# Scans what is pushed, in all registries of the subscription.
resource "azurerm_security_center_subscription_pricing" "containers" {
  tier          = "Standard"
  resource_type = "Containers"
}

resource "azurerm_public_ip" "ingress" {
  name                = "${local.name}-ingress"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
  allocation_method   = "Static"
}

resource "azurerm_dns_zone" "service" {
  name                = var.domain
  resource_group_name = azurerm_resource_group.this.name
}

resource "azurerm_dns_a_record" "service" {
  name                = "@"
  resource_group_name = azurerm_resource_group.this.name
  zone_name           = azurerm_dns_zone.service.name
  ttl                 = 300
  records             = [azurerm_public_ip.ingress.ip_address]
}

resource "azurerm_consumption_budget_subscription" "monthly" {
  name            = local.name
  subscription_id = data.azurerm_subscription.current.id
  amount          = var.budget.amount
  notification {
    operator       = "GreaterThan"
    threshold      = 100
    threshold_type = "Forecasted"
    contact_emails = [var.budget.email]
  }
  time_period { start_date = formatdate("YYYY-MM-01'T'00:00:00Z", plantimestamp()) }
  lifecycle { ignore_changes = [time_period] } # Azure takes no month that is over
}

output "kubeconfig_command" { value = "az aks get-credentials --resource-group ${local.name} --name ${local.name}" }
output "redis_url_secret" { value = "az redisenterprise database list-keys --resource-group ${local.name} --cluster-name ${local.name}" }
output "ingress_address" { value = azurerm_public_ip.ingress.ip_address }
output "name_servers" { value = azurerm_dns_zone.service.name_servers }
output "oidc_role" { value = { for name in keys(local.subjects) : name => azurerm_user_assigned_identity.this[name].client_id } }
