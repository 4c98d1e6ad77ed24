"""One JSON object a line from every part of the service, and no secret in any."""

import re
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.app_parts import BEARER, TOKEN
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer
from tests.support.service import EMBEDDED, Service, StartService, on_both_servers

ITEMS = "/api/v1/items"
COMMON = {
    "timestamp", "level", "logger", "message", "service", "environment", "version", "instance",
    "request_id", "trace_id", "span_id", "pid",
}  # fmt: skip
OF_A_REQUEST = {
    "method", "path", "route", "status", "duration_ms", "bytes", "client_ip", "user_agent",
}  # fmt: skip


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


@pytest.fixture
def service(start_service: StartService, server: str, log_file: Path) -> Iterator[Service]:
    settings = {"LOG_FILE": str(log_file), "API_TOKENS": TOKEN, "WEB_CONCURRENCY": "2"}
    with start_service(server=server, **settings) as running:
        yield running


@on_both_servers
def test_every_line_has_the_same_fields_a_request_more(service: Service, server: str) -> None:
    headers = {
        "X-Request-ID": "my-id.1",
        "User-Agent": "a test",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    response = service.get("/api/v1/info?q=1", headers=headers)
    if server == "gunicorn":
        service.send_signal(signal.SIGHUP)
        service.wait_for_boots(4)
    service.stop()

    records = service.log_records
    own_logger = {"gunicorn": "gunicorn.error", "granian": "_granian"}[server]
    assert {own_logger, "app.request"} <= {record["logger"] for record in records}
    assert all(COMMON <= record.keys() for record in records)
    for record in records:
        assert datetime.fromisoformat(record["timestamp"]).utcoffset() is not None
    assert service.stderr == ""

    (line,) = (each for each in records if each["request_id"] == "my-id.1" and "status" in each)
    assert response.headers["X-Request-ID"] == "my-id.1"
    assert OF_A_REQUEST <= line.keys()
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert re.fullmatch("[0-9a-f]{16}", line["span_id"])
    assert (line["method"], line["path"], line["route"]) == ("GET", "/api/v1/info", "/api/v1/info")
    assert (line["status"], line["bytes"]) == (200, len(response.content))
    assert (line["client_ip"], line["user_agent"]) == ("127.0.0.1", "a test")
    assert 0 < line["duration_ms"] < 5000


def test_no_secret_is_logged(service: Service, log_file: Path) -> None:
    headers = BEARER | {"Cookie": "session=a-cookie-value"}
    body = {"data": {"pin": "a-body-value"}}

    service.put("/api/v1/session?token=in-the-query", body, headers=headers)
    service.stop()

    written = "\n".join(service.log_lines) + log_file.read_text(encoding="utf-8") + service.stderr
    for secret in (TOKEN, "a-cookie-value", "a-body-value", "in-the-query"):
        assert secret not in written


def test_an_unavailable_redis_is_the_named_cause_of_every_503_and_of_the_open_circuit(
    start_service: StartService, own_redis: RedisServer
) -> None:
    with start_service(redis=own_redis.url, WEB_CONCURRENCY="1") as service:
        own_redis.kill()
        wait_until(lambda: service.get(ITEMS).status_code == 503, why="it is down")
        for _ in range(5):
            service.get(ITEMS)
        wait_until(lambda: circuits(service, "half-open"), why="it is asked again")
        own_redis.start()
        wait_until(lambda: circuits(service, "closed"), why="it is back")

        failed = [line for line in service.log_records if line.get("status") == 503]
        (opened,) = [line for line in circuits(service, "open") if "data" in line["message"]]

    causes = [line["exception"] for line in [*failed, opened]]
    assert len(causes) > 5
    assert all("ConnectionError while" in cause for cause in causes), causes


def circuits(service: Service, state: str) -> list[dict[str, Any]]:
    message = re.compile(f"The circuit to Redis for .* is {state}")
    return [line for line in service.log_records if message.fullmatch(line["message"])]


def test_for_a_terminal_lines_are_text_and_none_is_forged(start_service: StartService) -> None:
    with start_service(redis=EMBEDDED, LOG_FORMAT="text") as service:
        service.get("/api/v1/info")
        service.get("/no%0Asuch%1B%5B31m")

        info, odd = [line for line in service.log_lines if "app.request" in line][-2:]

    shown = r"\d\d:\d\d:\d\d INFO    app.request  GET /api/v1/info 200 \d+\.\d ms"
    assert re.fullmatch(shown, info)
    assert r"GET /no\nsuch\x1b[31m 404" in odd
