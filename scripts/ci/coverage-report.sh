#!/usr/bin/env bash
# Turns what the last test run measured into a report to browse and a section of the summary page.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/ci/coverage-report.sh [--dry-run]

After ./scripts/run-tests.sh --unit --integration: .run/coverage/html/index.html and .run/coverage/report.json
Exit status: 0 written, anything else: there is nothing to report on, or it cannot be read.
USAGE
}

main() {
  case ${1:-} in
    "") ;;
    --dry-run) say "would write .run/coverage/html and .run/coverage/report.json" && return ;;
    -h | --help) usage && return ;;
    *) fail "unknown option $1; scripts/ci/coverage-report.sh --help lists them all" ;;
  esac
  cd "$ROOT"
  "$VENV/bin/coverage" json --quiet -o .run/coverage/report.json
  "$VENV/bin/coverage" html --quiet --directory .run/coverage/html
  python3 scripts/ci/summary.py coverage .run/coverage/report.json
}

main "$@"
