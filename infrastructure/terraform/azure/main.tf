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

data "azurerm_client_config" "current" {}

locals {
  size = {
    small  = { redis = "Balanced_B0", web = 2 }
    medium = { redis = "Balanced_B3", web = 3 }
    large  = { redis = "Balanced_B10", web = 6 }
  }[var.size]
  subscription = "/subscriptions/${data.azurerm_client_config.current.subscription_id}"
  # Names of registries and vaults are unique in the world.
  unique    = "ds${substr(md5("${local.subscription}/${local.name}"), 0, 12)}"
  redis_url = "rediss://${azurerm_managed_redis.redis.hostname}:10000/0"
}

resource "azurerm_resource_group" "this" {
  name     = local.name
  location = var.region
}

resource "azurerm_virtual_network" "this" {
  name                = local.name
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
  address_space       = ["10.0.0.0/16"]
}

resource "azurerm_subnet" "this" {
  #checkov:skip=CKV2_AZURE_31: AKS makes the security groups of its nodes; the other subnets hold private endpoints alone
  for_each             = { nodes = "10.0.0.0/18", system = "10.0.64.0/24", private = "10.0.65.0/24", api = "10.0.66.0/24" }
  name                 = each.key
  resource_group_name  = azurerm_resource_group.this.name
  virtual_network_name = azurerm_virtual_network.this.name
  address_prefixes     = [each.value]
  dynamic "delegation" {
    for_each = each.key == "api" ? ["Microsoft.ContainerService/managedClusters"] : []
    content {
      name = "cluster"
      service_delegation { name = delegation.value }
    }
  }
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

# apply may give rights, so in effect everything: its environment asks for an approval.
resource "azurerm_role_assignment" "this" {
  for_each = {
    network = { who = "cluster", role = "Network Contributor", scope = azurerm_resource_group.this.id }
    dns     = { who = "cert-manager", role = "DNS Zone Contributor", scope = azurerm_dns_zone.service.id }
    secrets = { who = "secrets-reader", role = "Key Vault Secrets User", scope = azurerm_key_vault.service.id }
    plan    = { who = "plan", role = "Reader", scope = local.subscription }
    apply   = { who = "apply", role = "Owner", scope = local.subscription }
    main    = { who = "main", role = "Reader", scope = local.subscription }
    import  = { who = "main", role = "Contributor", scope = azurerm_container_registry.service.id }
  }
  principal_id         = azurerm_user_assigned_identity.this[each.value.who].principal_id
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
  api_server_access_profile = { subnet_id = azurerm_subnet.this["api"].id, authorized_ip_ranges = var.api_access.networks }
  default_agent_pool        = { vnet_subnet_id = azurerm_subnet.this["nodes"].id }
  hosted_system_profile     = { enabled = true, node_subnet_id = azurerm_subnet.this["nodes"].id, system_node_subnet_id = azurerm_subnet.this["system"].id }
  # No ingress controller: the chart has nginx.
  ingress_profile = { gateway_api = { installation = "Disabled" }, web_app_routing = { enabled = true, gateway_api_implementations = { app_routing_istio = { mode = "Disabled" } }, nginx = { default_ingress_controller_type = "None" } } }
  diagnostic_settings = { control-plane = {
    workspace_resource_id = azurerm_log_analytics_workspace.this.id
    log_groups            = []
    log_categories        = ["kube-apiserver", "kube-audit-admin", "kube-controller-manager", "kube-scheduler", "guard"]
  } }
  role_assignments = { for key, id in merge({ apply = azurerm_user_assigned_identity.this["apply"].principal_id }, zipmap(var.api_access.administrators, var.api_access.administrators)) : key => {
    role_definition_id_or_name = "Azure Kubernetes Service RBAC Cluster Admin"
    principal_id               = id
  } }
  enable_telemetry = false
  depends_on       = [azurerm_role_assignment.this]
}

resource "azurerm_role_assignment" "pull" {
  principal_id         = module.cluster.kubelet_identity.objectId
  role_definition_name = "AcrPull"
  scope                = azurerm_container_registry.service.id
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
    eviction_policy                             = "VolatileLRU"
    persistence_redis_database_backup_frequency = "12h"
  }
  lifecycle { prevent_destroy = true }
}

# Redis, secrets and images are reached from the cluster's network alone. Terraform and az act through Azure's own API.
locals {
  private = {
    redisEnterprise = { zone = "privatelink.redis.azure.net", id = azurerm_managed_redis.redis.id }
    vault           = { zone = "privatelink.vaultcore.azure.net", id = azurerm_key_vault.service.id }
    registry        = { zone = "privatelink.azurecr.io", id = azurerm_container_registry.service.id }
  }
}

resource "azurerm_private_dns_zone" "this" {
  for_each            = local.private
  name                = each.value.zone
  resource_group_name = azurerm_resource_group.this.name
}

resource "azurerm_private_dns_zone_virtual_network_link" "this" {
  for_each            = local.private
  name                = local.name
  private_dns_zone_id = azurerm_private_dns_zone.this[each.key].id
  virtual_network_id  = azurerm_virtual_network.this.id
}

resource "azurerm_private_endpoint" "this" {
  for_each            = local.private
  name                = "${local.name}-${each.key}"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
  subnet_id           = azurerm_subnet.this["private"].id
  private_service_connection {
    name                           = each.key
    is_manual_connection           = false
    private_connection_resource_id = each.value.id
    subresource_names              = [each.key]
  }
  private_dns_zone_group {
    name                 = each.key
    private_dns_zone_ids = [azurerm_private_dns_zone.this[each.key].id]
  }
}

resource "azurerm_key_vault" "service" {
  name                          = local.unique
  resource_group_name           = azurerm_resource_group.this.name
  location                      = var.region
  tenant_id                     = data.azurerm_client_config.current.tenant_id
  sku_name                      = "standard"
  rbac_authorization_enabled    = true
  purge_protection_enabled      = true
  public_network_access_enabled = false
  network_acls {
    bypass         = "AzureServices"
    default_action = "Deny"
  }
}

resource "azapi_resource" "secret" {
  type      = "Microsoft.KeyVault/vaults/secrets@2023-07-01"
  name      = local.name
  parent_id = azurerm_key_vault.service.id
  sensitive_body = { properties = { value = jsonencode(merge({ for name, made in ephemeral.random_password.secret : name => made.result }, {
    redis_password = azurerm_managed_redis.redis.default_database[0].primary_access_key, redis_url = local.redis_url
  })) } }
  sensitive_body_version = { "properties.value" = tostring(var.secrets_version) }
}

resource "azurerm_container_registry" "service" {
  #checkov:skip=CKV_AZURE_164: the provider no longer has this argument, because Azure ends Docker's content trust
  #checkov:skip=CKV_AZURE_165: one region; images come again from the pipeline's registry
  #checkov:skip=CKV_AZURE_166: a quarantine needs a scanner that ends it, which Defender does not
  name                          = local.unique
  resource_group_name           = azurerm_resource_group.this.name
  location                      = var.region
  sku                           = "Premium"
  zone_redundancy_enabled       = true
  data_endpoint_enabled         = true
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
  subscription_id = local.subscription
  amount          = var.budget.amount
  notification {
    operator       = "GreaterThan"
    threshold      = 100
    threshold_type = "Forecasted"
    contact_emails = [var.budget.email]
  }
  time_period { start_date = "2026-12-01T00:00:00Z" }
}

locals {
  outputs = {
    kubeconfig_command = "az aks get-credentials --resource-group ${local.name} --name ${local.name}"
    registry           = "${azurerm_container_registry.service.login_server}/${var.name}"
    redis_url_secret   = "az redisenterprise database list-keys --resource-group ${local.name} --cluster-name ${local.name}"
    ingress_address    = azurerm_public_ip.ingress.ip_address
    name_servers       = azurerm_dns_zone.service.name_servers
    oidc_role          = { for name in keys(local.subjects) : name => azurerm_user_assigned_identity.this[name].client_id }
    manifests = templatefile("${path.module}/manifests.yaml.tftpl", {
      name        = var.name, secret = local.name, email = var.budget.email
      annotations = { "azure.workload.identity/client-id" = azurerm_user_assigned_identity.this["secrets-reader"].client_id, "azure.workload.identity/tenant-id" = data.azurerm_client_config.current.tenant_id }
      store       = { azurekv = { authType = "WorkloadIdentity", vaultUrl = azurerm_key_vault.service.vault_uri, serviceAccountRef = { name = "secrets-reader" } } }
      solver      = { azureDNS = { subscriptionID = data.azurerm_client_config.current.subscription_id, resourceGroupName = local.name, hostedZoneName = var.domain, managedIdentity = { clientID = azurerm_user_assigned_identity.this["cert-manager"].client_id } } }
    })
    helm_values = {
      redis = { mode = "external", url = local.redis_url, port = 10000, passwordKey = "redis_password" }
      edge = { httpsRedirect = "on", service = { type = "LoadBalancer", annotations = {
        "service.beta.kubernetes.io/azure-load-balancer-resource-group" = local.name
        "service.beta.kubernetes.io/azure-pip-name"                     = azurerm_public_ip.ingress.name
      } } }
    }
  }
}
