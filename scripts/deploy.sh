#!/usr/bin/env bash
# Puts a version into service without dropping a request; --help says how, lib/deploy/ does it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
source "$here/lib/common.sh"

# Needs the standard library alone, so any Python that is new enough will do.
suitable_python() {
  local name
  for name in "$VENV/bin/python" python3 python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$name"
      return
    fi
  done
  fail "Python 3.11 or newer is needed: install one (apt-get install python3) and have it on PATH"
}

python=$(suitable_python)
PYTHONPATH="$LIB${PYTHONPATH:+:$PYTHONPATH}" exec "$python" -m deploy "$@"
