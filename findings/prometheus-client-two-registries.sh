#!/usr/bin/env bash
# prometheus-client 0.26.0, multiprocess mode: two counters of the same name in two registries of one
# process overwrite each other's number, so increments are lost.
#
# Each object caches its number and writes it under the same key of the process's file. Without
# PROMETHEUS_MULTIPROC_DIR the two are independent. Met when a test made a second exporter in the
# process of the service.
#
# Seen (2026-11-29, Python 3.11): three increments, a scrape says 2.0.
# Source: prometheus_client/values.py, class MmapedValue (`_value` is read once, then only written).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet prometheus-client==0.26.0
mkdir "$folder/metrics"

seen=$(PROMETHEUS_MULTIPROC_DIR="$folder/metrics" "$folder/venv/bin/python" - <<'PYTHON'
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

first = Counter("jobs", "Jobs.", registry=CollectorRegistry())
second = Counter("jobs", "Jobs.", registry=CollectorRegistry())
first.inc()
first.inc()
second.inc()
first.inc(0)

scrape = CollectorRegistry()
MultiProcessCollector(scrape)
lines = generate_latest(scrape).decode().splitlines()
print(next(line for line in lines if line.startswith("jobs_total")))
PYTHON
)

echo "three increments, a scrape says: $seen"
[[ $seen == "jobs_total 2.0" ]]
