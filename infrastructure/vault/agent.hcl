# The agent of the Compose stack. BAO_ADDR names the server; templates.hcl is read, too.
auto_auth {
  method "approle" {
    config = {
      role_id_file_path                   = "/run/secrets/vault_role_id"
      secret_id_file_path                 = "/run/secrets/vault_secret_id"
      remove_secret_id_file_after_reading = false # a restarted agent logs in again
    }
  }
}

# Certificate, chain and key in one file, under a name of its own each time: nginx never reads half of one.
template {
  destination = "/run/vault/nginx/new.pem"
  contents    = "{{ with pkiCert \"pki/issue/devops-starter\" (printf \"common_name=%s\" (env \"TLS_HOST\")) \"ttl=24h\" }}{{ .Cert }}{{ .CA }}{{ .Key }}{{ end }}"
  perms       = "0440"
  group       = "10001"
  exec {
    command = ["sh", "/etc/vault/publish-certificate.sh", "/run/vault/nginx"]
  }
}
