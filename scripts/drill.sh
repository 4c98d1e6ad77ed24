#!/usr/bin/env bash
# Breaks the running stack on purpose and follows the alert to its end; --help lists the drills.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
python=$(any_python)
# The users are simulated by the load generator of the tests.
PYTHONPATH="$LIB:$ROOT" exec "$python" -m drill "$@"
