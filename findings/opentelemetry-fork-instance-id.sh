#!/usr/bin/env bash
# opentelemetry-sdk 1.45.1 (Python): after a fork, a provider has a random service.instance.id, although
# OTEL_RESOURCE_ATTRIBUTES sets it. All other attributes of that variable stay.
#
# A provider made before the fork (gunicorn --preload, uWSGI, Celery's prefork pool) therefore sends spans,
# logs and metrics that cannot be joined with the name that the deployment gave (a pod's name, for example).
# The same program without a fork sends the name that was set.
#
# Expected: the value that the deployment gave stays, as every other attribute does.
# Seen (2026-11-30, Python 3.11): before the fork web-1, in two children two different UUIDs.
# Source: opentelemetry/sdk/resources/__init__.py, docstring of ServiceInstanceIdResourceDetector (it calls
# this intended), and TracerProvider._handle_fork in opentelemetry/sdk/trace/__init__.py.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opentelemetry-sdk==1.45.1

seen=$(OTEL_RESOURCE_ATTRIBUTES=service.name=shop,service.instance.id=web-1 "$folder/venv/bin/python" - <<'PYTHON'
import os

from opentelemetry.sdk.trace import TracerProvider

provider = TracerProvider()


def show(process: str) -> None:
    attributes = provider.resource.attributes
    print(process, attributes["service.name"], attributes["service.instance.id"], flush=True)


show("parent")
for _ in range(2):
    child = os.fork()
    if child == 0:
        show("child")
        os._exit(0)
    os.waitpid(child, 0)
show("parent")
PYTHON
)

echo "$seen"
uuid='[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
[[ $(grep -cx 'parent shop web-1' <<<"$seen") == 2 ]]
[[ $(grep -Ex "child shop $uuid" <<<"$seen" | sort -u | wc -l) == 2 ]]
