#!/usr/bin/env bash
# Checks infrastructure/terraform against the real providers' schemas, by tests/terraform.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: ./scripts/lint-terraform.sh [--install]

  --install  first fetch the schemas, 190 MB; in CI (CI=true) that is the default

Without them, one line says that nothing has been checked. If `tofu init` has run in a cloud's folder, the inputs of its
modules are checked too; with terraform or tofu on PATH, the format as well.
Exit status: 0 no issue, or not checked; 1 an issue.
USAGE
}

main() {
  local install=${CI:-} tool
  case ${1:-} in
    "") ;;
    --install) install=true ;;
    -h | --help) usage && return ;;
    *) fail "unknown option $1; ./scripts/lint-terraform.sh --help shows the usage" ;;
  esac
  cd "$ROOT"
  if [[ $install != true && ! -e .run/environment-terraform ]]; then
    say "terraform: NOT CHECKED; ./scripts/lint-terraform.sh --install fetches the providers' schemas (190 MB)"
    return
  fi
  ensure_environment terraform
  for tool in tofu terraform; do
    ! command -v "$tool" >/dev/null || "$tool" fmt -check -recursive infrastructure/terraform ||
      fail "format these files: $tool fmt -recursive infrastructure/terraform"
  done
  # Their own environment has none of what pytest.ini and tests/conftest.py need.
  "$VENV/bin/python" -m pytest -q -rP -c /dev/null --confcutdir tests/terraform -p no:cacheprovider tests/terraform
}

main "$@"
