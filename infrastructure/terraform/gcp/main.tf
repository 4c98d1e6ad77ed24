terraform {
  required_version = ">= 1.12"
  required_providers {
    google = { source = "hashicorp/google", version = "8.7.0" }
    random = { source = "hashicorp/random", version = "3.9.1" }
  }
  # Locked by a generation number of the object, encrypted by Google.
  backend "gcs" {}
}

# The project is GOOGLE_PROJECT's.
provider "google" { region = var.region }

data "google_project" "this" {}

locals {
  size = {
    small  = { redis = 1, read_replicas = null, web = 2 }
    medium = { redis = 5, read_replicas = null, web = 3 }
    large  = { redis = 16, read_replicas = 2, web = 6 }
  }[var.size]
  repository = regex("(?P<owner>.*)/(?P<name>.*)", var.github_repository)
  project    = data.google_project.this.project_id
  pools      = "principal://iam.googleapis.com/projects/${data.google_project.this.number}/locations/global/workloadIdentityPools"
  pods       = "${local.pools}/${local.project}.svc.id.goog/subject/ns"
  github     = { for name, subject in local.subjects : name => "${local.pools}/${google_iam_workload_identity_pool.github.workload_identity_pool_id}/subject/${subject}" }
  # For the templates.
  values = {
    registry = "${google_artifact_registry_repository.service.registry_uri}/${var.name}"
    # Its certificate names the instance and not its address; the authority that signed it signs for this instance alone.
    redis_url  = "rediss://${google_redis_instance.redis.host}:${google_redis_instance.redis.port}/0?ssl_ca_certs=/etc/redis/redis_ca&ssl_check_hostname=false"
    redis_port = google_redis_instance.redis.port
    address    = google_compute_address.ingress.name
    project    = local.project
    zone       = google_dns_managed_zone.service.name
  }
}

resource "google_compute_network" "this" {
  name                    = local.name
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "this" {
  name                     = local.name
  network                  = google_compute_network.this.id
  ip_cidr_range            = "10.0.0.0/20"
  private_ip_google_access = true
  log_config { flow_sampling = 0.1 }
}

# Google's own last rule, written down: no incoming traffic. Rules for the load balancer and the nodes are GKE's.
resource "google_compute_firewall" "deny" {
  name     = "${local.name}-deny"
  network  = google_compute_network.this.id
  priority = 65534
  deny { protocol = "all" }
  source_ranges = ["0.0.0.0/0"]
}

resource "google_compute_router" "this" {
  name    = local.name
  network = google_compute_network.this.id
}

resource "google_compute_router_nat" "this" {
  name                               = local.name
  router                             = google_compute_router.this.name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

resource "google_kms_key_ring" "this" {
  name     = local.name
  location = var.region
}

resource "google_kms_crypto_key" "cluster" {
  name            = "cluster"
  key_ring        = google_kms_key_ring.this.id
  rotation_period = "7776000s"
  lifecycle { prevent_destroy = true }
}

# Autopilot: nodes, their upgrades and network policies are Google's work.
resource "google_container_cluster" "this" {
  #checkov:skip=CKV_GCP_12: Autopilot always enforces network policies, and refuses this argument
  #checkov:skip=CKV_GCP_61: Autopilot always shows traffic within nodes, and refuses this argument
  #checkov:skip=CKV_GCP_69: Autopilot always runs the metadata server, and has no such argument
  #checkov:skip=CKV_GCP_65: needs a group of Google Workspace, which not everybody has
  name                = local.name
  location            = var.region
  enable_autopilot    = true
  deletion_protection = false
  network             = google_compute_network.this.id
  subnetwork          = google_compute_subnetwork.this.id
  resource_labels     = { project = var.name, environment = var.environment }
  ip_allocation_policy {} # the ranges of pods and services are GKE's choice
  master_auth {
    client_certificate_config { issue_client_certificate = false }
  }
  binary_authorization { evaluation_mode = "PROJECT_SINGLETON_POLICY_ENFORCE" }
  private_cluster_config { enable_private_nodes = true }
  master_authorized_networks_config {
    dynamic "cidr_blocks" {
      for_each = var.api_access.networks
      content { cidr_block = cidr_blocks.value }
    }
  }
  database_encryption {
    state    = "ENCRYPTED"
    key_name = google_kms_crypto_key.cluster.id
  }
  release_channel { channel = "REGULAR" }
  logging_config { enable_components = ["SYSTEM_COMPONENTS", "WORKLOADS", "APISERVER", "CONTROLLER_MANAGER", "SCHEDULER"] }
  depends_on = [google_project_iam_member.this] # GKE uses the key
}

resource "google_redis_instance" "redis" {
  name                    = local.name
  tier                    = "STANDARD_HA"
  memory_size_gb          = local.size.redis
  replica_count           = local.size.read_replicas # null: one, which only stands by
  read_replicas_mode      = local.size.read_replicas == null ? null : "READ_REPLICAS_ENABLED"
  redis_version           = "REDIS_7_2"
  authorized_network      = google_compute_network.this.id
  auth_enabled            = true
  transit_encryption_mode = "SERVER_AUTHENTICATION"
  redis_configs           = { maxmemory-policy = "volatile-lru" }
  persistence_config {
    persistence_mode    = "RDB"
    rdb_snapshot_period = "TWENTY_FOUR_HOURS"
  }
  deletion_protection = false # a second lock, beside the one below
  lifecycle { prevent_destroy = true }
}

resource "google_secret_manager_secret" "service" {
  secret_id = local.name
  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_version" "service" {
  secret = google_secret_manager_secret.service.id
  secret_data_wo = jsonencode(merge(local.secrets, {
    redis_password = google_redis_instance.redis.auth_string
    redis_ca       = google_redis_instance.redis.server_ca_certs[0].cert
    redis_url      = local.values.redis_url
  }))
  secret_data_wo_version = tostring(var.secrets_version)
}

resource "google_artifact_registry_repository" "service" {
  #checkov:skip=CKV_GCP_84: Google's key encrypts; images are public anyway where the pipeline publishes them
  repository_id = var.name
  location      = var.region
  format        = "DOCKER"
  docker_config { immutable_tags = true }
  vulnerability_scanning_config { enablement_config = "INHERITED" }
}

resource "google_dns_managed_zone" "service" {
  name          = local.name
  dns_name      = "${var.domain}."
  force_destroy = true
  dnssec_config { state = "on" }
}

resource "google_compute_address" "ingress" { name = "${local.name}-ingress" }

resource "google_dns_record_set" "service" {
  managed_zone = google_dns_managed_zone.service.name
  name         = google_dns_managed_zone.service.dns_name
  type         = "A"
  ttl          = 300
  rrdatas      = [google_compute_address.ingress.address]
}

# What reads secrets, and what proves to Let's Encrypt that the domain is ours.
resource "google_secret_manager_secret_iam_member" "reader" {
  for_each  = toset(["${local.pods}/external-secrets/sa/external-secrets", local.github["main"]])
  secret_id = google_secret_manager_secret.service.id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.key
}

resource "google_dns_managed_zone_iam_member" "certificates" {
  managed_zone = google_dns_managed_zone.service.name
  role         = "roles/dns.admin"
  member       = "${local.pods}/cert-manager/sa/cert-manager"
}

resource "google_iam_workload_identity_pool" "github" { workload_identity_pool_id = local.name }

resource "google_iam_workload_identity_pool_provider" "github" {
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  attribute_mapping                  = { "google.subject" = "assertion.sub" }
  # local.subjects, in the form that checkov can read.
  attribute_condition = "assertion.sub == 'repo:${local.repository.owner}/${local.repository.name}:ref:refs/heads/main' || assertion.sub == '${local.subjects.plan}' || assertion.sub == '${local.subjects.apply}'"
  oidc { issuer_uri = "https://token.actions.githubusercontent.com" }
}

# To compare Redis with the state, the provider reads its password, which a viewer may not.
resource "google_project_iam_custom_role" "redis_password" {
  role_id     = replace("${local.name}_redis_password", "-", "_")
  title       = "Read the password of Redis"
  permissions = ["redis.instances.getAuthString"]
}

# apply may give rights, so in effect everything: its environment asks for an approval.
resource "google_project_iam_member" "this" {
  for_each = merge({
    plan  = { who = local.github["plan"], role = "roles/viewer" }
    main  = { who = local.github["main"], role = "roles/viewer" }
    audit = { who = local.github["main"], role = "roles/iam.securityReviewer" }
    redis = { who = local.github["main"], role = google_project_iam_custom_role.redis_password.name }
    push  = { who = local.github["main"], role = "roles/artifactregistry.writer" }
    apply = { who = local.github["apply"], role = "roles/owner" }
    gke   = { who = "serviceAccount:service-${data.google_project.this.number}@container-engine-robot.iam.gserviceaccount.com", role = "roles/cloudkms.cryptoKeyEncrypterDecrypter" }
  }, { for one in var.api_access.administrators : one => { who = one, role = "roles/container.admin" } })
  project = local.project
  member  = each.value.who
  role    = each.value.role
}

resource "google_monitoring_notification_channel" "budget" {
  type   = "email"
  labels = { email_address = var.budget.email }
}

resource "google_billing_budget" "monthly" {
  billing_account = data.google_project.this.billing_account
  display_name    = local.name
  budget_filter { projects = ["projects/${data.google_project.this.number}"] }
  amount {
    specified_amount { units = tostring(var.budget.amount) }
  }
  threshold_rules {
    threshold_percent = 1
    spend_basis       = "FORECASTED_SPEND"
  }
  all_updates_rule { monitoring_notification_channels = [google_monitoring_notification_channel.budget.id] }
}

output "kubeconfig_command" { value = "gcloud container clusters get-credentials ${local.name} --region ${var.region} --project ${local.project}" }
output "redis_url_secret" { value = "gcloud secrets versions access latest --secret ${local.name} --project ${local.project}" }
output "ingress_address" { value = google_compute_address.ingress.address }
output "name_servers" { value = google_dns_managed_zone.service.name_servers }
output "oidc_role" { value = { for name in keys(local.subjects) : name => google_iam_workload_identity_pool_provider.github.name } }
