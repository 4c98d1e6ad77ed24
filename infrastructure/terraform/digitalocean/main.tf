terraform {
  required_version = ">= 1.12"
  required_providers {
    digitalocean = { source = "digitalocean/digitalocean", version = "2.71.0" }
    random       = { source = "hashicorp/random", version = "3.9.1" }
  }
  # In Spaces, which encrypts; the address, the region and the bucket come from the backend file.
  backend "s3" {
    use_lockfile                = true
    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_region_validation      = true
    skip_requesting_account_id  = true
    skip_s3_checksum            = true
  }
}

# Takes the token from DIGITALOCEAN_TOKEN.
provider "digitalocean" {}

data "digitalocean_kubernetes_versions" "supported" { version_prefix = "1.35." }

locals {
  # Its Valkey has at most one standby, and none below 2 GB.
  size = {
    small  = { node = "s-2vcpu-4gb", nodes = 2, redis = "db-s-1vcpu-1gb", replicas = 0, web = 2 }
    medium = { node = "s-4vcpu-8gb", nodes = 3, redis = "db-s-2vcpu-4gb", replicas = 1, web = 3 }
    large  = { node = "s-8vcpu-16gb", nodes = 3, redis = "db-s-4vcpu-8gb", replicas = 1, web = 6 }
  }[var.size]
  # For the templates.
  values = {
    registry           = "${digitalocean_container_registry.service.server_url}/${digitalocean_container_registry.service.name}/${var.name}"
    redis_url          = "rediss://${digitalocean_database_cluster.redis.private_host}:${digitalocean_database_cluster.redis.port}/0"
    redis_port         = digitalocean_database_cluster.redis.port
    network            = digitalocean_vpc.this.ip_range
    load_balancer      = digitalocean_loadbalancer.ingress.id
    load_balancer_name = digitalocean_loadbalancer.ingress.name
    certificate        = digitalocean_certificate.service.name
  }
}

resource "digitalocean_vpc" "this" {
  name     = local.name
  region   = var.region
  ip_range = "10.10.0.0/20"
}

# DigitalOcean has no private nodes: they have public addresses, behind a firewall that lets nobody in.
resource "digitalocean_kubernetes_cluster" "this" {
  name                             = local.name
  region                           = var.region
  version                          = data.digitalocean_kubernetes_versions.supported.latest_version
  vpc_uuid                         = digitalocean_vpc.this.id
  ha                               = var.size != "small"
  auto_upgrade                     = true
  surge_upgrade                    = true
  registry_integration             = true
  destroy_all_associated_resources = true
  node_pool {
    name       = "default"
    size       = local.size.node
    auto_scale = true
    min_nodes  = local.size.nodes
    max_nodes  = local.size.nodes * 2
  }
  control_plane_firewall {
    enabled           = true
    allowed_addresses = var.api_access.networks
  }
  maintenance_policy {
    day        = "sunday"
    start_time = "04:00"
  }
  depends_on = [digitalocean_container_registry.service]
  lifecycle { ignore_changes = [version, node_pool[0].node_count] } # upgraded and scaled by DigitalOcean
}

resource "digitalocean_database_cluster" "redis" {
  name                 = local.name
  engine               = "valkey"
  version              = "8"
  size                 = local.size.redis
  region               = var.region
  node_count           = local.size.replicas + 1
  private_network_uuid = digitalocean_vpc.this.id
  eviction_policy      = "volatile_lru"
  lifecycle { prevent_destroy = true }
}

resource "digitalocean_database_firewall" "redis" {
  cluster_id = digitalocean_database_cluster.redis.id
  rule {
    type  = "k8s"
    value = digitalocean_kubernetes_cluster.this.id
  }
}

# One an account.
resource "digitalocean_container_registry" "service" {
  name                   = local.name
  subscription_tier_slug = "basic"
  region                 = var.region
}

resource "digitalocean_domain" "service" { name = var.domain }

resource "digitalocean_certificate" "service" {
  name    = local.name
  type    = "lets_encrypt"
  domains = [digitalocean_domain.service.name]
  lifecycle { create_before_destroy = true }
}

# Made here, so that its address is known; the chart's Service then owns its rules.
resource "digitalocean_loadbalancer" "ingress" {
  name     = local.name
  region   = var.region
  vpc_uuid = digitalocean_vpc.this.id
  forwarding_rule {
    entry_port       = 443
    entry_protocol   = "https"
    target_port      = 80
    target_protocol  = "http"
    certificate_name = digitalocean_certificate.service.name
  }
  lifecycle { ignore_changes = [droplet_ids, droplet_tag, forwarding_rule, healthcheck, redirect_http_to_https, size_unit] }
}

resource "digitalocean_record" "service" {
  domain = digitalocean_domain.service.id
  type   = "A"
  name   = "@"
  value  = digitalocean_loadbalancer.ingress.ip
  ttl    = 300
}

output "kubeconfig_command" { value = "doctl kubernetes cluster kubeconfig save ${local.name}" }
output "redis_url_secret" { value = "doctl databases connection ${digitalocean_database_cluster.redis.id} --private --format URI --no-header" }
output "ingress_address" { value = digitalocean_loadbalancer.ingress.ip }
output "name_servers" { value = ["ns1.digitalocean.com", "ns2.digitalocean.com", "ns3.digitalocean.com"] }
# It takes no identity of others (a person applies, with a token that ends soon), and has no secret store.
output "oidc_role" { value = {} }
