#!/usr/bin/env bash
# Puts a version into service without dropping a request; --help lists the options.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# The standard library is enough, so any Python that is new enough will do.
python="$VENV/bin/python"
[[ -x $python ]] || python=$(find_python)
PYTHONPATH="$LIB" exec "$python" -m deploy.cli "$@"
