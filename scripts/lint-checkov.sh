#!/usr/bin/env bash
# Looks for risky settings in Dockerfiles, workflows, Terraform and what the chart renders, by checkov.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

if (($#)); then
  echo "Usage: ./scripts/lint-checkov.sh    reads .checkov.yaml; exit status 1: it found something, or CI has no helm."
  [[ $1 == --help || $1 == -h ]]
  exit
fi

cd "$ROOT"
# First: it has traps of its own.
ensure_environment checkov
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if command -v helm >/dev/null; then
  for mode in standalone sentinel; do
    helm template web infrastructure/helm/devops-starter --namespace demo --set existingSecret=given,redis.mode=$mode \
      >"$work/$mode.yaml" 2>"$work/log" || fail "helm could not render it: $(tail -n 1 "$work/log")"
  done
elif [[ ${CI:-} == true && -z ${WITHOUT_HELM:-} ]]; then
  fail "checkov reads the chart as helm renders it: https://helm.sh/docs/intro/install/"
else
  say "checkov: the chart is NOT READ, it needs helm: https://helm.sh/docs/intro/install/"
fi
look() { "$VENV/bin/python" -m checkov.main --config-file .checkov.yaml "$@" >"$work/log" 2>&1 || { cat "$work/log" && exit 1; }; }
look --directory docker --directory .github --directory "$work"
for size in small medium large; do
  sed "s/^size .*/size = \"$size\"/" infrastructure/terraform/example.tfvars >"$work/$size.tfvars"
  look --framework terraform --directory infrastructure/terraform --var-file "$work/$size.tfvars"
done
say "checkov: no issue"
