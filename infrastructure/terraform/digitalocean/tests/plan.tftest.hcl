# What is planned, without a cloud and without an account: tofu test, or terraform test.
mock_provider "digitalocean" {
  mock_data "digitalocean_kubernetes_versions" {
    defaults = { latest_version = "1.35.1-do.0" }
  }
}

variables {
  name              = "example"
  environment       = "staging"
  region            = "fra1"
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
    condition     = digitalocean_database_cluster.redis.node_count == 1
    error_message = "The size decides on Redis."
  }

  assert {
    condition     = one(digitalocean_kubernetes_cluster.this.control_plane_firewall).enabled
    error_message = "The API is closed to others."
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
    condition     = digitalocean_kubernetes_cluster.this.ha
    error_message = "From medium on, the control plane is highly available."
  }
}

run "the_whole_internet_does_not_reach_the_api" {
  command         = plan
  expect_failures = [var.size]
  variables {
    api_access = { networks = ["0.0.0.0/0"], administrators = [] }
  }
}

run "an_unknown_size_is_refused" {
  command         = plan
  expect_failures = [var.size]
  variables { size = "tiny" }
}

run "an_unknown_environment_is_refused" {
  command         = plan
  expect_failures = [var.size]
  variables { environment = "prod" }
}

run "a_name_that_is_too_long_for_a_cloud_is_refused" {
  command         = plan
  expect_failures = [var.size]
  variables { name = "longer-than-allowed" }
}

run "an_empty_domain_is_refused" {
  command         = plan
  expect_failures = [var.size]
  variables { domain = "" }
}

run "a_repository_without_an_owner_is_refused" {
  command         = plan
  expect_failures = [var.size]
  variables { github_repository = "name" }
}

run "a_pattern_is_no_repository" {
  command         = plan
  expect_failures = [var.size]
  variables { github_repository = "owner/*" }
}

run "nobody_reaching_the_api_is_refused" {
  command         = plan
  expect_failures = [var.size]
  variables { api_access = { networks = [], administrators = [] } }
}

run "an_address_without_a_mask_is_no_network" {
  command         = plan
  expect_failures = [var.size]
  variables { api_access = { networks = ["203.0.113.7"], administrators = [] } }
}

run "a_repository_is_named_with_its_ids_or_without" {
  command = plan
  variables { github_repository = "owner@123/na.me_2@456" }
}

run "a_short_name_and_a_domain_in_another_script_are_taken" {
  command = plan
  variables {
    name   = "ab"
    domain = "xn--e1afmkfd.xn--p1ai"
  }
}
