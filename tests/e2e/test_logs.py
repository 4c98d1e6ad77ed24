"""The logs of the running stack: one shape, one trace, and no secret in any line."""

import json
import uuid
from typing import Any

import pytest
import requests

from tests.e2e.stack import Stack
from tests.e2e.test_request_identity import logged
from tests.support.processes import wait_until

SECRET = "s3cret-in-a-query"
TRACE = "0af7651916cd43dd8448eb211c80319c"
COMMON = {
    "timestamp", "level", "logger", "message", "service", "environment", "version", "instance",
    "request_id", "trace_id", "method", "path", "status", "duration_ms", "bytes", "client_ip",
    "user_agent",
}  # fmt: skip
# Their programs write no JSON: docs/MONITORING.md.
TEXT = {"redis", "cadvisor", "init", "alertmanager-config"}
# Written before it reads its options.
BANNER = "Redis Metrics Exporter"


def test_the_lines_of_nginx_and_of_the_service_have_the_same_fields_and_one_trace(
    stack: Stack,
) -> None:
    request_id = uuid.uuid4().hex
    headers = {"X-Request-ID": request_id, "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}

    requests.get(f"{stack.http}/api/v1/demo/status/503", headers=headers, timeout=5)

    (edge,) = logged(stack, "nginx", request_id)
    (service,) = logged(stack, "web", request_id)
    for name, line in (("nginx", edge), ("devops-starter", service)):
        assert COMMON <= line.keys()
        assert (line["service"], line["level"], line["status"]) == (name, "WARNING", 503)
        assert (line["message"], line["trace_id"]) == ("GET /api/v1/demo/status/503 503", TRACE)
    assert abs(float(str(edge["duration_ms"])) - float(str(service["duration_ms"]))) < 5000
    assert service["exception"] == "Problem: You asked for this status."


@pytest.mark.parametrize(
    "traceparent", [None, f"00-{TRACE}-b7ad6b7169203331-xx", f"00-{TRACE}-b7ad6b7169203331-00-x"]
)
def test_without_a_valid_traceparent_the_request_id_of_nginx_is_the_trace_id_if_it_can_be(
    stack: Stack, traceparent: str | None
) -> None:
    headers = {"traceparent": traceparent}
    hex_id = requests.get(f"{stack.http}/", headers=headers, timeout=5).headers["X-Request-ID"]
    other_id = f"e2e-{uuid.uuid4()}"
    requests.get(f"{stack.http}/", headers=headers | {"X-Request-ID": other_id}, timeout=5)

    for request_id, trace_id in ((hex_id, hex_id), (other_id, "")):
        (edge,) = logged(stack, "nginx", request_id)
        assert edge["trace_id"] == trace_id


def test_an_error_of_nginx_is_a_json_line_without_the_query(stack: Stack) -> None:
    body = b"x" * 1_100_000
    headers = {"Referer": f"https://example.org/?token={SECRET}"}

    url = f"{stack.http}/api/v1/cache/{uuid.uuid4().hex}?token={SECRET}"
    answer = requests.put(url, data=body, headers=headers, timeout=5)

    assert answer.status_code == 413
    path = answer.json()["instance"]
    wait_until(lambda: path in stack.logs("edge-exporter"), seconds=10, why="the error is logged")
    (line,) = [each for each in errors(stack) if each.get("path") == path]
    assert (line["service"], line["level"], line["method"]) == ("nginx", "ERROR", "PUT")
    assert line["message"].startswith("client intended to send too large body")
    assert SECRET not in stack.logs("edge-exporter") + stack.logs("nginx") + stack.logs("web")


def test_a_candidate_that_does_not_exist_fills_no_log(stack: Stack) -> None:
    assert not [line for line in errors(stack) if "web-next" in line["message"]]


def test_every_line_is_json_where_the_program_can_write_it(stack: Stack) -> None:
    odd = {
        name: [
            line
            for line in stack.logs(name).splitlines()
            if not is_json(line) and BANNER not in line
        ][:3]
        for name in set(stack.services) - TEXT
    }

    assert {name: lines for name, lines in odd.items() if lines} == {}


def errors(stack: Stack) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in stack.logs("edge-exporter").splitlines()]
    return [line for line in lines if line["logger"] == "nginx.error"]


def is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
