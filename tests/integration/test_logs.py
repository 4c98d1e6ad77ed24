"""One JSON object a line, whoever writes it, and nothing secret in any."""

import json
import os
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.gunicorn_server import GunicornServer
from tests.support.processes import wait_until

COMMON = {
    "timestamp", "level", "logger", "message", "service", "environment", "version", "instance",
    "request_id", "trace_id",
}  # fmt: skip
OF_A_REQUEST = {
    "method", "path", "route", "status", "duration_ms", "bytes", "client_ip", "user_agent",
}  # fmt: skip
TOKEN = "a-token-nobody-should-read"


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


@pytest.fixture
def server(redis_url: str, redis_prefix: str, log_file: Path) -> Iterator[GunicornServer]:
    settings = {
        "REDIS_URL": redis_url,
        "REDIS_KEY_PREFIX": redis_prefix,
        "LOG_FILE": str(log_file),
        "API_TOKENS": TOKEN,
        "WEB_CONCURRENCY": "2",
        "DRAIN_SECONDS": "0",
    }
    with GunicornServer(settings) as running:
        yield running


def request_line(server: GunicornServer, request_id: str) -> dict[str, Any]:
    """The one line of a request."""
    lines = [r for r in server.log_records if r["request_id"] == request_id and "status" in r]
    assert len(lines) == 1
    return lines[0]


def wait_for_boots(server: GunicornServer, number: int) -> None:
    """Wait until this many workers have started since the beginning."""
    wait_until(
        lambda: sum("Booting" in line for line in server.log_lines) == number,
        seconds=30,
        why=f"{number} workers have started",
    )


def test_every_line_of_a_whole_life_has_the_same_shape(server: GunicornServer) -> None:
    wait_for_boots(server, 2)
    requests.get(f"{server.base_url}/api/v1/info", timeout=5)
    server.send_signal(signal.SIGHUP)
    wait_for_boots(server, 4)
    server.stop()

    records = server.log_records

    assert {"gunicorn.error", "app.request"} <= {record["logger"] for record in records}
    assert all(COMMON <= record.keys() for record in records)
    for record in records:
        assert datetime.fromisoformat(record["timestamp"]).utcoffset() is not None
    assert server.stderr == ""


def test_a_request_is_one_line_that_tells_what_happened(server: GunicornServer) -> None:
    headers = {
        "X-Request-ID": "my-id.1",
        "User-Agent": "a test",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }

    response = requests.get(f"{server.base_url}/api/v1/info?q=1", headers=headers, timeout=5)

    line = request_line(server, "my-id.1")
    assert response.headers["X-Request-ID"] == "my-id.1"
    assert OF_A_REQUEST <= line.keys()
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert (line["method"], line["path"], line["route"]) == ("GET", "/api/v1/info", "/api/v1/info")
    assert (line["status"], line["bytes"]) == (200, len(response.content))
    assert (line["client_ip"], line["user_agent"]) == ("127.0.0.1", "a test")
    assert 0 < line["duration_ms"] < 5000


@pytest.mark.parametrize("offered", ["", "x" * 129, "with space", 'quote"', "ünïcode", "a/b"])
def test_a_request_id_that_is_not_one_is_replaced(server: GunicornServer, offered: str) -> None:
    headers = {"X-Request-ID": offered.encode().decode("latin-1")}

    response = requests.get(f"{server.base_url}/health/live", headers=headers, timeout=5)

    assert response.headers["X-Request-ID"] not in ("", offered)
    assert request_line(server, response.headers["X-Request-ID"])["status"] == 200


def test_an_error_answer_and_its_line_share_the_request_id(server: GunicornServer) -> None:
    response = requests.get(f"{server.base_url}/nope", timeout=5)

    line = request_line(server, response.json()["request_id"])
    assert line["status"] == 404
    assert response.headers["X-Request-ID"] == line["request_id"]


def test_no_secret_reaches_the_log(server: GunicornServer, log_file: Path) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Cookie": "session=a-cookie-value"}
    url = f"{server.base_url}/api/v1/session?token=in-the-query"

    requests.put(url, json={"data": {"pin": "a-body-value"}}, headers=headers, timeout=5)
    server.stop()

    written = "\n".join(server.log_lines) + log_file.read_text(encoding="utf-8") + server.stderr
    for secret in (TOKEN, "a-cookie-value", "a-body-value", "in-the-query"):
        assert secret not in written


def test_the_log_file_holds_the_same_lines_and_may_be_rotated(
    server: GunicornServer, log_file: Path
) -> None:
    requests.get(f"{server.base_url}/health/live", headers={"X-Request-ID": "before"}, timeout=5)
    os.rename(log_file, log_file.with_suffix(".1"))

    for _ in range(8):
        requests.get(f"{server.base_url}/health/live", headers={"X-Request-ID": "after"}, timeout=5)

    def ids(path: Path) -> list[str]:
        return [json.loads(line)["request_id"] for line in path.read_text("utf-8").splitlines()]

    assert "before" in ids(log_file.with_suffix(".1"))
    assert ids(log_file).count("after") == 8
