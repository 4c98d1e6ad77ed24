"""Checks that every peer has the service's features; otherwise the comparison is unfair."""

import json
import urllib.request
from collections.abc import Iterator

from tests.performance.peers import SECURITY_HEADERS
from tests.performance.process import Server
from tests.performance.run import WORKERS, Run
from tests.performance.variants import BARE, CACHED, FASTAPI, INFO, OURS, TUTORIAL, VALUE, Variant
from tests.support.processes import wait_until

REQUEST_ID = "bench-check-1"


def check(run: Run) -> str:
    """Start each peer and try its features; raises RuntimeError with what is missing."""
    faults = [
        f"{variant.name}: {fault}"
        for variant in (OURS, TUTORIAL, FASTAPI, BARE)
        for fault in _faults(run, variant)
    ]
    if faults:
        raise RuntimeError("; ".join(faults))
    return "ours, tutorial, fastapi and bare answer as they should"


def _faults(run: Run, variant: Variant) -> Iterator[str]:
    with run.stage.server(variant, WORKERS) as service:
        run.stage.fill(service)
        headers, body = _get(service, CACHED)
        if json.loads(body) != VALUE:
            yield "the read from Redis does not return the stored value"
        if not {"name", "version", "uptime_seconds"} <= json.loads(_get(service, INFO)[1]).keys():
            yield f"{INFO} lacks name, version or uptime_seconds"
        if variant is BARE:
            return
        if headers.get("x-request-id") != REQUEST_ID:
            yield "the caller's request ID is not returned"
        absent = [name for name in SECURITY_HEADERS if name.lower() not in headers]
        if absent:
            yield f"security headers are missing: {', '.join(absent)}"
        if 'status="' not in _get(service, "/metrics", service.metrics_port)[1]:
            yield "no request is counted in /metrics"
        try:
            wait_until(lambda: _has_line(service), seconds=10, why="an access line")
        except TimeoutError:
            yield "no JSON access line with method, path, status, duration and ID"


def _has_line(service: Server) -> bool:
    wanted = {"method": "GET", "path": CACHED, "status": 200, "request_id": REQUEST_ID}
    lines = service.log.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [json.loads(line) for line in lines if REQUEST_ID in line and line.startswith("{")]
    return any(wanted.items() <= one.items() and "duration_ms" in one for one in found)


def _get(service: Server, path: str, port: int = 0) -> tuple[dict[str, str], str]:
    """Headers, by their names in lower case, and body."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port or service.port}{path}", headers={"X-Request-ID": REQUEST_ID}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return headers, answer.read().decode()
