#!/usr/bin/env bash
# Measures the service beside its peers; --help lists the options.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# Set, these would slow down the peers: unbuffered output, and no compiled bytecode.
unset PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE
cd "$ROOT"
case " $* " in *" --help "* | *" -h "*) exec "$(find_python)" -m tests.performance.bench --help ;; esac
ensure_environment bench
exec "$VENV/bin/python" -m tests.performance.bench "$@"
