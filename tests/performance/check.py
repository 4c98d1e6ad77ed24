"""Checks that every peer has the service's features; otherwise the comparison is unfair."""

import json
import urllib.request
from collections.abc import Iterator

from tests.performance.machine import Problem
from tests.performance.peers import SECURITY_HEADERS
from tests.performance.process import Server
from tests.performance.run import Run
from tests.performance.variants import BARE, CACHED, FASTAPI, INFO, OURS, TUTORIAL, VALUE, Variant
from tests.support.processes import wait_until

REQUEST_ID = "bench-check-1"
LINE_SECONDS = 10.0


def check(run: Run) -> str:
    """Start each peer and try its features; raises `Problem` with what is missing."""
    faults = [
        fault for variant in (OURS, TUTORIAL, FASTAPI, BARE) for fault in _faults(run, variant)
    ]
    if faults:
        raise Problem("; ".join(faults))
    return "ours, tutorial, fastapi and bare answer as they should"


def _faults(run: Run, variant: Variant) -> Iterator[str]:
    with run.stage.server(variant, run.workers) as service:
        run.stage.fill(service)
        headers, body = _get(service, CACHED)
        if json.loads(body) != VALUE:
            yield f"{variant.name}: the read from Redis does not return the stored value"
        if not {"name", "version", "uptime_seconds"} <= json.loads(_get(service, INFO)[1]).keys():
            yield f"{variant.name}: {INFO} lacks name, version or uptime_seconds"
        if variant is BARE:
            return
        if headers.get("x-request-id") != REQUEST_ID:
            yield f"{variant.name}: the caller's request ID is not returned"
        absent = [name for name in SECURITY_HEADERS if name.lower() not in headers]
        if absent:
            yield f"{variant.name}: security headers are missing: {', '.join(absent)}"
        if 'status="' not in _get(service, "/metrics")[1]:
            yield f"{variant.name}: no request is counted in /metrics"
        try:
            wait_until(lambda: _has_line(service), seconds=LINE_SECONDS, why="an access line")
        except TimeoutError:
            yield f"{variant.name}: no JSON access line with method, path, status, duration and ID"


def _has_line(service: Server) -> bool:
    wanted = {"method": "GET", "path": CACHED, "status": 200, "request_id": REQUEST_ID}
    for line in service.log.read_text(encoding="utf-8", errors="replace").splitlines():
        if REQUEST_ID in line and line.startswith("{"):
            fields = json.loads(line)
            if wanted.items() <= fields.items() and "duration_ms" in fields:
                return True
    return False


def _get(service: Server, path: str) -> tuple[dict[str, str], str]:
    """Headers, by their names in lower case, and body."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{service.port}{path}", headers={"X-Request-ID": REQUEST_ID}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return {
            name.lower(): value for name, value in answer.headers.items()
        }, answer.read().decode()
