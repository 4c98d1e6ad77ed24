# OpenBao beside the stack: one node, data in a volume. It starts sealed; docs/SECURITY-OPERATIONS.md says what to do.
ui            = false
disable_mlock = true # HashiCorp Vault: it would need a capability. OpenBao has none of it and only warns.
api_addr      = "http://openbao:8200"
cluster_addr  = "http://127.0.0.1:8201"

storage "raft" {
  path    = "/openbao/file"
  node_id = "one"
}

# Without TLS: an internal network of this host, and loopback.
listener "tcp" {
  address     = "0.0.0.0:8200"
  tls_disable = true
}
