#!/usr/bin/env bash
# Checks what is not Python: workflows, YAML and Dockerfiles.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/lint-workflows.sh [--online] [--dry-run]

actionlint, zizmor (pedantic), yamllint and hadolint, from requirements-dev.txt. --online lets zizmor
ask GitHub, with the token in GH_TOKEN, whether each pinned commit is what its version comment claims.
Exit status: 0 clean, anything else: one of them found something.
USAGE
}

main() {
  local mode=--offline failed=0
  while (($#)); do
    case $1 in
      --online) mode="" ;;
      --dry-run) say "would lint the workflows, YAML files and Dockerfiles" && return ;;
      -h | --help) usage && return ;;
      *) fail "unknown option $1; scripts/ci/lint-workflows.sh --help lists them all" ;;
    esac
    shift
  done
  cd "$ROOT"
  ensure_environment dev
  export PATH="$VENV/bin:$PATH"
  # All of them run, so that one round of fixing is enough.
  actionlint || failed=1
  zizmor --quiet --no-progress --persona pedantic ${mode:+"$mode"} .github .pre-commit-config.yaml || failed=1
  yamllint --strict . || failed=1
  hadolint docker/Dockerfile* || failed=1
  return "$failed"
}

main "$@"
