#!/usr/bin/env bash
# redis-py 8.1.0: `import redis` imports the metrics SDK of OpenTelemetry wherever opentelemetry-sdk is installed,
# although nothing has turned redis-py's telemetry on.
#
# A service with traces as an option (installed in its image, off by default) therefore loads the SDK in every
# process: some MB of memory, and time at each start.
#
# Expected: nothing of OpenTelemetry is imported before redis.observability is used.
# Seen (2026-11-30, Python 3.11): 61 modules, opentelemetry.sdk.metrics among them.
# Source: redis/observability/providers.py, which imports opentelemetry.sdk.metrics when it is loaded.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet redis==8.1.0 opentelemetry-sdk==1.45.1

seen=$("$folder/venv/bin/python" - <<'PYTHON'
import sys

import redis

print(*sorted(name for name in sys.modules if name.startswith("opentelemetry")), sep="\n")
PYTHON
)

echo "$seen"
grep -qx opentelemetry.sdk.metrics <<<"$seen"
