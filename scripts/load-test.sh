#!/usr/bin/env bash
# A load test with a latency limit against any deployment; --help lists the options.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

unset PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE
# Options are checked before an environment is built, with any Python.
python=$(find_python)
"$python" "$ROOT/tests/performance/load_options.py" "$@" || exit
case " $* " in *" --help "* | *" -h "*) exit ;; esac
ensure_environment load
PYTHONPATH=$ROOT exec "$VENV/bin/python" -m tests.performance.load_test "$@"
