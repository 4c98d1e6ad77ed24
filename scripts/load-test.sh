#!/usr/bin/env bash
# A load test with a latency gate against any deployment; --help says how.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
source "$here/lib/common.sh"

unset PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE
# Mistakes are told before an environment is built, so any Python has to do for that.
python=$(find_python)
"$python" "$ROOT/tests/performance/load_options.py" "$@" || exit
case " $* " in *" --help "* | *" -h "*) exit ;; esac
ensure_environment load
PYTHONPATH=$ROOT exec "$VENV/bin/python" -m tests.performance.load_test "$@"
