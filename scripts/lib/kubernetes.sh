# Sourced by setup.sh: the chart, installed into the current context, or into a kind cluster made for it.
# shellcheck shell=bash

CHART=infrastructure/helm/devops-starter
RELEASE=devops-starter
KIND_CLUSTER=devops-starter

run_kubernetes() {
  local action=install kind=false image="" namespace=devops-starter
  while (($#)); do
    case $1 in
      --kubernetes) ;;
      --kind) kind=true ;;
      --image) image=${2-} && shift $(($# > 1)) ;;
      --image=*) image=${1#--image=} ;;
      --namespace) namespace=${2-} && shift $(($# > 1)) ;;
      --namespace=*) namespace=${1#--namespace=} ;;
      --down) action=down ;;
      *) fail "unknown option $1; ./scripts/setup.sh --help lists them all" ;;
    esac
    shift
  done
  [[ $namespace =~ ^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$ ]] \
    || fail "--namespace needs small letters, digits and hyphens, e.g. --namespace demo, and not '$namespace'"
  [[ -z $image || $image =~ (:[^/]+|@.+)$ ]] \
    || fail "--image needs a tag or a digest, e.g. --image registry.example.org/web:1.2, and not '$image'"
  require_writable
  require_tool kubectl https://kubernetes.io/docs/tasks/tools/
  require_tool helm https://helm.sh/docs/intro/install/
  if $kind; then require_tool kind https://kind.sigs.k8s.io/ && kind_cluster; fi
  kubectl version --request-timeout=10s >/dev/null 2>&1 \
    || fail "no cluster answers in the current context ($(kubectl config current-context 2>/dev/null || echo none)): kubectl config get-contexts lists them; or add --kind to make one here"
  if [[ $action == down ]]; then
    helm uninstall "$RELEASE" --namespace "$namespace" --wait
    say "The volume and the Secret are kept: kubectl --namespace $namespace delete pvc,secret --selector app.kubernetes.io/instance=$RELEASE"
    return
  fi
  [[ -n $image ]] || { image=devops-starter:local && build_image_for_cluster "$image" "$kind"; }
  install_chart "$image" "$namespace"
}

require_tool() { command -v "$1" >/dev/null || fail "$1 is not installed: $2"; }

kind_cluster() {
  kind get clusters 2>/dev/null | grep -qx "$KIND_CLUSTER" || kind create cluster --name "$KIND_CLUSTER" --wait 120s
  kubectl config use-context "kind-$KIND_CLUSTER" >/dev/null
}

# build_image_for_cluster IMAGE KIND: a cluster elsewhere cannot see what is built here
build_image_for_cluster() {
  require_tool docker https://docs.docker.com/engine/install/
  $2 || say "Building $1. The nodes must have it: load it into them, or give --image with one that they can pull."
  docker build --quiet --file docker/Dockerfile --tag "$1" . >/dev/null || fail "the image could not be built; docker build --file docker/Dockerfile . says why"
  if $2; then kind load docker-image --name "$KIND_CLUSTER" "$1"; fi
}

# install_chart IMAGE NAMESPACE
install_chart() {
  local reference=(--set "image.repository=${1%:*}" --set-string "image.tag=${1##*:}")
  [[ $1 != *@* ]] || reference=(--set "image.repository=${1%@*}" --set "image.digest=${1#*@}")
  # Who owns a namespace alone may not even try to make it.
  kubectl get namespace "$2" >/dev/null 2>&1 || reference+=(--create-namespace)
  helm upgrade --install "$RELEASE" "$CHART" --namespace "$2" --values "$CHART/values-development.yaml" \
    "${reference[@]}" --wait --timeout 3m >/dev/null 2>.run/helm.log \
    || fail "helm could not install it: $(grep -v 'found symbolic link' .run/helm.log | tail -n 1); kubectl --namespace $2 get pods,events shows more"
  cat <<WELCOME

The service runs in the namespace $2. To reach it, in another terminal:

  kubectl --namespace $2 port-forward service/$RELEASE-edge 8080:80

WELCOME
  to_try http://127.0.0.1:8080 "\$(kubectl --namespace $2 get secret $RELEASE -o jsonpath='{.data.api_token}' | base64 -d)"
  echo "Remove it: ./scripts/setup.sh --kubernetes --namespace $2 --down"
}
