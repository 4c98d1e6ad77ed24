# The agent beside each replica on Kubernetes (kubernetes-values.yaml): the pod's own token is its login.
auto_auth {
  method "kubernetes" {
    config = {
      role       = "devops-starter"
      token_path = "/run/login/token"
    }
  }
}
