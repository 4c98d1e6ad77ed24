#!/usr/bin/env bash
# Breaks the running stack on purpose and follows the alert to its end; --help says how, lib/drill/
# does it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
source "$here/lib/common.sh"

# Needs the standard library alone.
python=$(command -v "$VENV/bin/python" || find_python)
PYTHONPATH="$LIB${PYTHONPATH:+:$PYTHONPATH}" exec "$python" -m drill "$@"
