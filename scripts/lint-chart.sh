#!/usr/bin/env bash
# Looks for risky settings in what the chart renders, by checkov.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

if (($#)); then
  echo "Usage: ./scripts/lint-chart.sh    reads infrastructure/helm/checkov.yaml; exit status 1: it found something."
  [[ $1 == --help || $1 == -h ]]
  exit
fi

CHART=$ROOT/infrastructure/helm/devops-starter
if ! command -v helm >/dev/null; then
  say "checkov: NOT RUN, it needs helm: https://helm.sh/docs/intro/install/"
  [[ ${CI:-} != true || -n ${WITHOUT_HELM:-} ]]
  exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for mode in standalone sentinel; do
  helm template web "$CHART" --namespace demo --set existingSecret=given,redis.mode=$mode >"$work/$mode.yaml" 2>"$work/log" \
    || fail "helm could not render it: $(tail -n 1 "$work/log")"
done
ensure_environment checkov
"$VENV/bin/python" -m checkov.main --config-file "$ROOT/infrastructure/helm/checkov.yaml" --directory "$work" >"$work/log" 2>&1 \
  || { cat "$work/log" && exit 1; }
say "checkov: no issue"
