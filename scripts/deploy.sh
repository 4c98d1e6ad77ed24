#!/usr/bin/env bash
# Puts a version into service without dropping a request; --help lists the options.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
run_python -m deploy.cli "$@"
