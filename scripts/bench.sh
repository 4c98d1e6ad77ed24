#!/usr/bin/env bash
# Measures the service beside its peers; --help lists the options.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# Both would slow the measured processes down.
unset PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE
cd "$ROOT"
case " $* " in *" --help "* | *" -h "*) exec "$(find_python)" -m tests.performance.bench --help ;; esac
(ensure_environment sdk)
ensure_environment bench
exec "$VENV/bin/python" -m tests.performance.bench "$@"
