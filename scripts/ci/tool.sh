#!/usr/bin/env bash
# Runs a program of the project's environment, which is made first where it is missing or out of date.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

main() {
  case ${1:---help} in
    -h | --help)
      say "Usage: scripts/ci/tool.sh [--dry-run] PROGRAM [ARGUMENT...], e.g. scripts/ci/tool.sh black app"
      say "Exit status: the program's own; 1 too if the environment could not be made."
      return
      ;;
    --dry-run) shift && say "would run $* from $VENV/bin" && return ;;
    -*) fail "unknown option $1; scripts/ci/tool.sh --help shows the usage" ;;
  esac
  ensure_environment dev
  export PATH="$VENV/bin:$PATH"
  exec "$@"
}

main "$@"
