# What is planned, without a cloud and without an account: tofu test, or terraform test.
mock_provider "azurerm" {
  mock_data "azurerm_subscription" {
    defaults = { id = "/subscriptions/00000000-0000-0000-0000-000000000001", subscription_id = "00000000-0000-0000-0000-000000000001", tenant_id = "00000000-0000-0000-0000-000000000002" }
  }
  # Modules look at what this is, and OpenTofu makes up eight letters.
  mock_resource "azurerm_resource_group" {
    defaults = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/example" }
  }
}
mock_provider "azapi" {
  mock_resource "azapi_resource" {
    defaults = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/example/providers/Microsoft.Network/virtualNetworks/example" }
  }
  mock_data "azapi_resource_list" {
    defaults = { output = { results = [{ role_name = "Network Contributor", id = "example" }] } }
  }
}
# Within these modules, OpenTofu's stand-ins make up IDs and write-only values that the modules refuse.
override_module {
  target  = module.private_dns
  outputs = { resource_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/example/providers/Microsoft.Network/privateDnsZones/example" }
}
override_module {
  target  = module.cluster
  outputs = { resource_id = "example", oidc_issuer_profile_issuer_url = "https://example.org", kubelet_identity = { objectId = "example" } }
}

variables {
  name              = "example"
  environment       = "staging"
  region            = "germanywestcentral"
  size              = "small"
  domain            = "app.example.org"
  github_repository = "owner/name"
  api_access        = { networks = ["203.0.113.0/24"], administrators = [] }
  budget            = { amount = 300, email = "you@example.org" }
  secrets_version   = 1
}

run "small" {
  command = plan

  assert {
    condition     = azurerm_managed_redis.redis.sku_name == "Balanced_B0"
    error_message = "The size decides on Redis."
  }

  assert {
    condition     = azurerm_managed_redis.redis.public_network_access == "Disabled"
    error_message = "Redis is reached from the network alone."
  }

  assert {
    condition     = azurerm_federated_identity_credential.this["apply"].subject == "repo:owner/name:environment:staging"
    error_message = "Only this environment applies."
  }

  assert {
    condition     = azurerm_role_assignment.this["keys"].role_definition_name == azurerm_role_definition.redis_keys.name
    error_message = "Runs of main compare Redis with the state, for which the provider reads its keys."
  }

  assert {
    condition     = output.monthly_cost_estimate.known_usd >= 0
    error_message = "Each item of the size is in prices.json."
  }
}

run "large" {
  command = plan
  variables { size = "large" }

  assert {
    condition     = azurerm_managed_redis.redis.sku_name == "Balanced_B10"
    error_message = "The size decides on Redis."
  }
}

run "the_whole_internet_does_not_reach_the_api" {
  command         = plan
  expect_failures = [var.size]
  variables {
    api_access = { networks = ["0.0.0.0/0"], administrators = [] }
  }
}
