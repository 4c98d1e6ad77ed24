#!/usr/bin/env bash
# Holds what the repository makes against infrastructure/policies, by conftest.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

if (($#)); then
  echo "Usage: ./scripts/lint-policies.sh    needs conftest or Docker for its image; helm and docker compose for what they make."
  echo "Exit status: 0 no issue, or not checked; 1 a rule is broken, or CI cannot check."
  [[ $1 == --help || $1 == -h ]]
  exit
fi

CONFTEST=openpolicyagent/conftest:v0.71.1
POLICIES=infrastructure/policies
CHART=infrastructure/helm/devops-starter

# lacks WHAT REMEDY: said; in CI, which has all of them, a failure
lacks() {
  [[ ${CI:-} != true || -n ${WITHOUT_CONFTEST:-} ]] || fail "policies: $1: $2"
  say "policies: $1; $2"
}

conftest() {
  if [[ -n $(type -P conftest) ]]; then
    command conftest "$@"
  else
    docker run --rm --network none --user "$(id -u)" --volume "$PWD:/project:ro" "$CONFTEST" "$@"
  fi
}

# render FILE COMMAND...: what it prints
render() { "${@:2}" >"$work/$1" 2>"$work/log" || fail "policies: ${*:2:2} failed: $(tail -n 1 "$work/log")"; }

# quietly COMMAND...: what it prints only if it fails
quietly() {
  local said
  said=$("$@" 2>&1) || { say "$said" && exit 1; }
}

render_chart() {
  local environment values
  for environment in default development staging production; do
    values=()
    [[ $environment == default ]] || values=(--values "$CHART/values-$environment.yaml")
    # As scripts/lib/promote.py writes it.
    [[ $environment != production ]] || values+=(--set "image.digest=sha256:$(printf '0%.0s' {1..64})")
    render "chart-$environment.yaml" helm template web "$CHART" --namespace demo --set existingSecret=given "${values[@]}"
  done
  render chart-sentinel.yaml helm template web "$CHART" --namespace demo --set existingSecret=given,redis.mode=sentinel
  render admission.yaml helm template policies $POLICIES/admission
}

render_compose() {
  local overlay files
  for overlay in "" .dev .observability .vault .test; do
    files=(--file infrastructure/docker-compose.yml)
    [[ -z $overlay ]] || files+=(--file "infrastructure/docker-compose$overlay.yml")
    render "docker-compose$overlay.yml" env COMPOSE_DISABLE_ENV_FILE=1 TEST_FOLDER=/tmp docker compose "${files[@]}" --profile '*' config
  done
}

cd "$ROOT"
if [[ -z $(type -P conftest) ]] && ! docker image inspect "$CONFTEST" >/dev/null 2>&1 && ! docker pull --quiet "$CONFTEST" >/dev/null 2>&1; then
  lacks "NOT CHECKED" "install conftest 0.71 (https://www.conftest.dev/install) or have Docker fetch $CONFTEST"
  exit
fi
# Below the clone: a container sees no more.
mkdir -p .run
work=$(mktemp -d .run/policies-XXXXXX)
trap 'rm -rf "$work"' EXIT
if command -v helm >/dev/null; then render_chart; else lacks "the chart is NOT READ" "https://helm.sh/docs/intro/install/"; fi
if docker compose version >/dev/null 2>&1; then render_compose; else lacks "Compose files are NOT READ" "they need docker compose"; fi
rm -f "$work/log"
quietly conftest verify --policy $POLICIES/rules --policy $POLICIES/tests --data $POLICIES/rules/rules.yaml --data $POLICIES/tests
quietly conftest test --combine --policy $POLICIES/rules --data $POLICIES/rules/rules.yaml --data $POLICIES/exceptions.yaml \
  "$work" infrastructure/argocd docker/Dockerfile* .github/workflows .github/actions/*/action.yml infrastructure/terraform/*/*.tf
say "policies: no issue"
