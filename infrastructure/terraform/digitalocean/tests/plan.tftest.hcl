# What is planned, without a cloud and without an account: tofu test, or terraform test.
mock_provider "digitalocean" {
  mock_data "digitalocean_kubernetes_versions" {
    defaults = { latest_version = "1.35.1-do.0" }
  }
}

variables {
  name              = "devops-starter"
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
  expect_failures = [var.api_access]
  variables {
    api_access = { networks = ["0.0.0.0/0"], administrators = [] }
  }
}
