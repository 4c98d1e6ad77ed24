#!/usr/bin/env bash
# Measures the service beside its peers; --help says what and how.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
source "$here/lib/common.sh"

# What Python prints would otherwise go out line by line, and nothing would be compiled ahead.
unset PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE

cd "$ROOT"
case " $* " in
  *" --help "* | *" -h "*) exec "$(find_python)" -m tests.performance.bench --help ;;
esac
ensure_environment bench
exec "$VENV/bin/python" -m tests.performance.bench "$@"
