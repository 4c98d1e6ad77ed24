# What is planned, without a cloud and without an account: tofu test, or terraform test.
mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c"] }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333", arn = "arn:aws:iam::111122223333:user/somebody" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  # OpenTofu makes up an empty list.
  mock_resource "aws_eks_cluster" {
    defaults = { certificate_authority = [{ data = "" }] }
  }
}
mock_provider "cloudinit" {}
mock_provider "null" {}
mock_provider "time" {}

variables {
  name              = "example"
  environment       = "staging"
  region            = "eu-central-1"
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
    condition     = aws_elasticache_replication_group.redis.num_cache_clusters == 2
    error_message = "Redis has a replica in every size."
  }

  assert {
    condition     = aws_elasticache_replication_group.redis.transit_encryption_enabled
    error_message = "Redis is reached by TLS alone."
  }

  assert {
    condition     = aws_ecr_repository.service.image_tag_mutability == "IMMUTABLE"
    error_message = "A tag of an image is never moved."
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
    condition     = length(aws_eip.ingress) == 3
    error_message = "Large has three zones."
  }

  assert {
    condition     = aws_elasticache_replication_group.redis.node_type == "cache.r7g.large"
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
