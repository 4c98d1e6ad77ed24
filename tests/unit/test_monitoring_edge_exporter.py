"""The exporter that counts the access log of nginx, and prints its error log without secrets."""

import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import edge_exporter
import error_log
import pytest
import requests

from tests.support.monitoring import MONITORING
from tests.support.processes import free_port, run, wait_until

FOLDER = MONITORING / "edge-exporter"
LINE = {
    **{"status": 200, "route": "/api/v1/items", "path": "/api/v1/items", "bytes": 512},
    **{"request_time": 0.004, "upstream_status": "200", "upstream_response_time": "0.003"},
    "rate_limit": "PASSED",
}


@pytest.fixture
def edge() -> edge_exporter.EdgeMetrics:
    return edge_exporter.EdgeMetrics()


def datagram(**changed: object) -> bytes:
    return b"<190>Nov 23 14:00:00 nginx: " + json.dumps(LINE | changed).encode()


def value(edge: Any, name: str, **labels: str) -> float | None:
    found: float | None = edge.registry.get_sample_value(name, labels)
    return found


def upstream(edge: Any, suffix: str, traffic: str, status_class: str) -> float | None:
    labels = {"traffic": traffic, "status_class": status_class}
    return value(edge, f"edge_upstream_duration_seconds_{suffix}", **labels)


def test_a_request_is_counted_by_status_with_its_time_and_bytes(edge: Any) -> None:
    edge.count(datagram(status=404))
    assert value(edge, "edge_requests_total", status="404", traffic="users") == 1
    assert value(edge, "edge_response_bytes_total") == 512
    assert value(edge, "edge_request_duration_seconds_sum") == 0.004
    assert upstream(edge, "sum", "users", "4xx") == 0.003
    assert value(edge, "edge_rate_limit_total", result="passed") == 1


@pytest.mark.parametrize(
    ("route", "path", "traffic"),
    [
        ("/", "/", "users"),
        ("/api/v1/items/<item_id>", "/api/v1/items/health", "users"),
        ("/health/ready", "/health/ready", "other"),
        ("/api/v1/demo/status/<int:code>", "/api/v1/demo/status/500", "other"),
        ("unmatched", "/api/v1/itemz", "other"),
        # Without an answer of the service.
        ("", "/api/v1/items", "users"),
        ("", "/static/console.css", "users"),
        ("", "/healthy-food", "users"),
        ("", "/api/v1/demo/delay/1", "other"),
        ("", "", "other"),
    ],
)
def test_health_checks_demo_routes_and_unknown_paths_are_other_traffic(
    edge: Any, route: str, path: str, traffic: str
) -> None:
    edge.count(datagram(status=502, route=route, path=path))
    assert value(edge, "edge_requests_total", status="502", traffic=traffic) == 1
    assert upstream(edge, "count", traffic, "5xx") == 1


def test_a_client_that_left_waited_as_long_as_nginx_did(edge: Any) -> None:
    line = {"status": 499, "route": "", "upstream_status": "-", "upstream_response_time": "0.5"}
    edge.count(datagram(**line))
    assert upstream(edge, "sum", "users", "4xx") == 0.5


@pytest.mark.parametrize("separator", [", ", " : "])
def test_a_retried_request_is_one_request_and_two_attempts(edge: Any, separator: str) -> None:
    statuses, times = f"502{separator}200", f"0.5{separator}0.25"
    edge.count(datagram(upstream_status=statuses, upstream_response_time=times))
    assert value(edge, "edge_requests_total", status="200", traffic="users") == 1
    for status in ("502", "200"):
        assert value(edge, "edge_upstream_attempts_total", status=status) == 1
    assert upstream(edge, "sum", "users", "2xx") == 0.75


@pytest.mark.parametrize("nothing", ["", "-"])
def test_what_nginx_answers_itself_is_none_of_the_service(edge: Any, nothing: str) -> None:
    line = {"upstream_status": nothing, "upstream_response_time": nothing, "rate_limit": ""}
    edge.count(datagram(status=429, **line))
    assert value(edge, "edge_requests_total", status="429", traffic="users") == 1
    assert upstream(edge, "count", "users", "4xx") == 0
    assert value(edge, "edge_rate_limit_total", result="passed") == 0
    assert value(edge, "edge_rate_limit_total", result="") is None


@pytest.mark.parametrize(
    "line",
    [b"", b"<190>no JSON here", b"<190>[1]", b'<190>{"status":200}', datagram(status="x")]
    + [datagram(route=None, path=None), datagram(request_time="x")]
    + [datagram(upstream_response_time="x"), datagram(rate_limit=None)]
    + [b"<190>\xff\xfe{\xff}"],
)
def test_an_unreadable_line_is_counted_as_such_and_as_nothing_else(edge: Any, line: bytes) -> None:
    edge.count(line)
    assert value(edge, "edge_unreadable_lines_total") == 1
    assert value(edge, "edge_request_duration_seconds_count") == 0


ZERO = (200, 304, 429, 499, 500, 502, 507)


def test_failures_and_times_are_exported_as_zero_before_the_first_request(edge: Any) -> None:
    """A counter that appears with 1 hides its first event from `increase()`."""
    for status, traffic in itertools.product(ZERO, ("users", "other")):
        assert value(edge, "edge_requests_total", status=str(status), traffic=traffic) == 0
        assert upstream(edge, "count", traffic, f"{status // 100}xx") == 0
        assert value(edge, "edge_upstream_attempts_total", status=str(status)) == 0


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[dict[str, str]]:
    environment = {
        "PATH": os.environ["PATH"],
        "EDGE_SOCKET": str(tmp_path / "access.sock"),
        "EDGE_PORT": str(free_port()),
    }
    (tmp_path / "access.sock").write_text("of an earlier run")
    with subprocess.Popen(
        [sys.executable, FOLDER / "edge_exporter.py"], env=environment
    ) as process:
        wait_until(lambda: check(environment) == 0, why="the exporter answers")
        yield environment
        process.terminate()
        assert process.wait(30) == 0


def check(environment: dict[str, str]) -> int:
    return run([sys.executable, "-SE", FOLDER / "check.py"], env=environment).returncode


def test_every_line_sent_to_its_socket_is_on_the_next_scrape(exporter: dict[str, str]) -> None:
    path = Path(exporter["EDGE_SOCKET"])
    wait_until(path.is_socket, why="it listens")
    before = path.stat().st_ino
    second = run([sys.executable, FOLDER / "edge_exporter.py"], env=exporter)
    assert second.returncode != 0
    assert path.stat().st_ino == before

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(path))
        for _ in range(500):
            sender.send(datagram())

    def counted() -> bool:
        answer = requests.get(f"http://127.0.0.1:{exporter['EDGE_PORT']}/metrics", timeout=5)
        return 'edge_requests_total{status="200",traffic="users"} 500.0' in answer.text

    wait_until(counted, why="all 500 lines are counted")


@pytest.mark.parametrize("version", ['"1.0.0"', "abc", '"1.0', '""'])
def test_a_scraper_may_write_its_accept_header_in_any_way(
    exporter: dict[str, str], version: str
) -> None:
    accept = f"application/openmetrics-text; version={version}, text/plain; version={version}"

    url = f"http://127.0.0.1:{exporter['EDGE_PORT']}/metrics"
    answer = requests.get(url, headers={"Accept": accept}, timeout=5)

    assert answer.status_code == 200 and "edge_requests_total" in answer.text


def test_it_is_scraped_over_ipv6_too_where_the_machine_has_it(exporter: dict[str, str]) -> None:
    for host in ("127.0.0.1", "[::1]") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
        assert requests.get(f"http://{host}:{exporter['EDGE_PORT']}/metrics", timeout=5).ok


@pytest.mark.parametrize(("error", "lines"), [(BrokenPipeError(), 0), (ValueError("no"), 1)])
def test_a_scrape_that_fails_is_at_most_a_line_of_json(
    error: Exception, lines: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with edge_exporter.Server(("", 0), edge_exporter.Scrape) as server:
        try:
            raise error
        except (BrokenPipeError, ValueError):
            server.handle_error(None, None)

    printed, traceback = capfd.readouterr()
    assert (len([json.loads(line) for line in printed.splitlines()]), traceback) == (lines, "")


def test_the_health_check_fails_where_nothing_answers() -> None:
    assert check({"PATH": os.environ["PATH"], "EDGE_PORT": str(free_port())}) != 0


REFUSED = "connect() failed (111: Connection refused) while connecting to upstream"
CONTEXT = (
    ', client: 192.0.2.7, server: localhost, request: "PUT /api/v1/items/7?token=s3cret HTTP/1.1", '
    'upstream: "http://172.18.0.5:8000/api/v1/items/7?token=s3cret", host: "localhost:8080", '
    'referrer: "https://example.org/?token=s3cret"'
)


def error_line(message: str, level: str = "error") -> bytes:
    time = "2026/11/23 14:00:00"
    return f"<187>Nov 23 14:00:00 4f1d nginx: {time} [{level}] 29#29: {message}".encode()


def printed(message: str, level: str = "error") -> dict[str, Any]:
    text = error_log.convert(error_line(message, level))
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def test_an_error_has_the_fields_of_the_access_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "testing")

    line = printed(f"*7 {REFUSED}{CONTEXT}")

    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "ERROR",
        "logger": "nginx.error",
        "message": REFUSED,
        "service": "nginx",
        "environment": "testing",
        "instance": "4f1d",
        "pid": 29,
        "connection": 7,
        "client_ip": "192.0.2.7",
        "method": "PUT",
        "path": "/api/v1/items/7",
        "upstream_addr": "172.18.0.5:8000",
    }


@pytest.mark.parametrize(
    "message",
    [
        f"*7 {REFUSED}{CONTEXT}",
        f"*7 {REFUSED}{CONTEXT}"[:170],  # nginx cuts long lines
        'upstream sent invalid header: "Set-Cookie: s3cret\\x01..." while reading' + CONTEXT,
        'client sent invalid request: "GET /?s3cret',
        '*7 open() "/srv/www/?s3cret" failed' + CONTEXT,
        "*7 odd, client: 192.0.2.7, s3cret",
        '*7 odd, client: 192.0.2.7, server: x, request: "GET /a"s3cret HTTP/1.1"',
        '*7 "\ns3cret"' + CONTEXT,
    ],
)
def test_nothing_that_may_be_secret_is_printed(message: str) -> None:
    assert "s3cret" not in error_log.convert(error_line(message))


@pytest.mark.parametrize("level", ["warn", "error", "crit"])
def test_names_of_files_are_printed_and_levels_as_in_the_services_log(level: str) -> None:
    message = 'open() "/var/bodies/0000000001" failed (28: No space left on device)'
    line = printed(f"*7 {message}{CONTEXT}", level)
    levels = {"warn": "WARNING", "error": "ERROR", "crit": "CRITICAL"}
    assert (line["message"], line["level"]) == (message, levels[level])


def test_a_candidate_that_does_not_exist_is_not_worth_a_line() -> None:
    message = "web-next could not be resolved (3: Host not found)"
    assert error_log.convert(error_line(message)) == ""
    assert printed(message.replace("web-next", "web"))["message"].startswith("web could not")


def test_a_client_cannot_forge_fields() -> None:
    forged = '/a",client:6.6.6.6,upstream:"http://6.6.6.6/"'
    context = CONTEXT.replace("/api/v1/items/7?token=s3cret", forged)
    line = printed(f"*7 {REFUSED}{context}")
    assert (line["client_ip"], line["path"]) == ("192.0.2.7", "/a")
    assert line["upstream_addr"] == "172.18.0.5:8000"


def test_a_line_of_another_form_is_reported_without_its_text() -> None:
    assert "s3cret" not in error_log.convert(b"\xff s3cret")
