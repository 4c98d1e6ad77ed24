#!/usr/bin/env bash
# Prints what became of the objectives in the last 30 days; --help explains the columns.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
run_python -m slo_report "$@"
