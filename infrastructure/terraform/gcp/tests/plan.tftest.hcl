# What is planned, without a cloud and without an account: tofu test, or terraform test.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { project_id = "example", number = "123456789", billing_account = "000000-000000-000000" }
  }
  # OpenTofu makes up an empty list.
  mock_resource "google_redis_instance" {
    defaults = { server_ca_certs = [{ cert = "", create_time = "", expire_time = "", serial_number = "", sha1_fingerprint = "" }] }
  }
}

variables {
  name              = "example"
  environment       = "staging"
  region            = "europe-west3"
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
    condition     = google_redis_instance.redis.memory_size_gb == 1
    error_message = "The size decides on Redis."
  }

  assert {
    condition     = google_redis_instance.redis.transit_encryption_mode == "SERVER_AUTHENTICATION"
    error_message = "Redis is reached by TLS alone."
  }

  assert {
    condition     = google_artifact_registry_repository.service.docker_config[0].immutable_tags
    error_message = "A tag of an image is never moved."
  }

  assert {
    condition     = yamldecode(split("---\n", output.manifests)[4]).spec.acme.solvers[0].dns01.cloudDNS.project == "example"
    error_message = "The manifests hold what is the cloud's own."
  }

  assert {
    condition     = endswith(google_project_iam_member.this["redis"].member, "repo:owner/name:ref:refs/heads/main")
    error_message = "Runs of main compare Redis with the state, for which the provider reads its password."
  }

  assert {
    condition     = !google_redis_instance.redis.deletion_protection
    error_message = "A destroy ends what costs."
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
    condition     = google_redis_instance.redis.replica_count == 2
    error_message = "Large has two replicas."
  }
}

run "the_whole_internet_does_not_reach_the_api" {
  command         = plan
  expect_failures = [var.size]
  variables {
    api_access = { networks = ["0.0.0.0/0"], administrators = [] }
  }
}
