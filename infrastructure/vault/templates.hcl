# What the agent writes, on Compose and on Kubernetes: into a folder, because it replaces files by rename.
template_config {
  static_secret_render_interval = "5s" # how soon a changed token or key is noticed
}

template {
  destination = "/run/vault/web/api_tokens"
  contents    = "{{ with secret \"kv/data/devops-starter\" }}{{ .Data.data.api_tokens }}{{ end }}"
  perms       = "0440"
  group       = "10001"
}

template {
  destination = "/run/vault/web/secret_key"
  contents    = "{{ with secret \"kv/data/devops-starter\" }}{{ .Data.data.secret_key }}{{ end }}"
  perms       = "0440"
  group       = "10001"
}

# One user for both files: the same path is read once.
template {
  destination = "/run/vault/web/redis_username"
  contents    = "{{ with secret \"database/creds/devops-starter\" }}{{ .Data.username }}{{ end }}"
  perms       = "0440"
  group       = "10001"
}

template {
  destination = "/run/vault/web/redis_password"
  contents    = "{{ with secret \"database/creds/devops-starter\" }}{{ .Data.password }}{{ end }}"
  perms       = "0440"
  group       = "10001"
}
