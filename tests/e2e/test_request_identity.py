"""Client address and request ID: set by nginx, the same in every log and answer."""

import json
import re
import uuid

import pytest
import requests

from tests.e2e.stack import Stack
from tests.support.processes import wait_until

NEW_ID = re.compile("[0-9a-f]{32}")


def logged(stack: Stack, service: str, request_id: str) -> list[dict[str, object]]:
    """The lines with this request ID; waits until there is one."""

    def lines() -> list[dict[str, object]]:
        found = [line for line in stack.logs(service).splitlines() if request_id in line]
        return [json.loads(line) for line in found]

    wait_until(lines, seconds=5, why=f"{service} has logged {request_id}", interval=0.2)
    return lines()


def test_the_callers_request_id_is_in_both_logs_and_in_the_answer(stack: Stack) -> None:
    request_id = f"e2e.{uuid.uuid4()}_{'x' * 80}"

    answer = requests.get(
        f"{stack.http}/api/v1/items/nothing?secret=hidden",
        headers={"X-Request-ID": request_id},
        timeout=5,
    )

    assert answer.headers["X-Request-ID"] == answer.json()["request_id"] == request_id
    (edge,) = logged(stack, "nginx", request_id)
    (service,) = logged(stack, "web", request_id)
    assert edge["path"] == service["path"] == "/api/v1/items/nothing"
    assert edge["status"] == service["status"] == answer.status_code
    upstream = round(float(str(edge["upstream_response_time"])) * 1000)
    assert (
        upstream <= float(str(edge["duration_ms"])) + 1
    )  # nginx takes them from two clocks of whole milliseconds
    assert "hidden" not in json.dumps(edge)


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, 'a"b', "a\\nb", "a,b", "ä"])
def test_a_request_id_of_another_form_is_replaced(stack: Stack, bad: str) -> None:
    answer = stack.send_raw(f"GET /api/v1/info HTTP/1.1\nHost: localhost\nX-Request-ID: {bad}")

    assert NEW_ID.fullmatch(answer.headers["x-request-id"])
    logged(stack, "web", answer.headers["x-request-id"])


def test_two_request_ids_at_once_are_replaced_by_one(stack: Stack) -> None:
    answer = stack.send_raw(
        "GET /health HTTP/1.1\nHost: localhost\nX-Request-ID: one\nX-Request-ID: two"
    )

    assert NEW_ID.fullmatch(answer.headers["x-request-id"])


@pytest.mark.parametrize(
    "forged",
    [
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-For: 127.0.0.1, 6.6.6.6",
        "X-Real-IP: 6.6.6.6",
        "Forwarded: for=6.6.6.6;proto=https",
        "X-Forwarded-For: 6.6.6.6\nX-Forwarded-For: 6.6.6.6",
    ],
)
def test_a_forged_address_reaches_no_log(stack: Stack, forged: str) -> None:
    answer = stack.send_raw(f"GET /api/v1/info HTTP/1.1\nHost: localhost\n{forged}")

    (service,) = logged(stack, "web", answer.headers["x-request-id"])
    (edge,) = logged(stack, "nginx", answer.headers["x-request-id"])
    assert service["client_ip"] == edge["client_ip"] != "6.6.6.6"


def test_a_forged_scheme_and_host_do_not_show_in_links(stack: Stack) -> None:
    answer = stack.send_raw(
        "GET / HTTP/1.1\nHost: localhost\nAccept: application/json\n"
        "X-Forwarded-Proto: gopher\nX-Forwarded-Host: evil.example\nX-Forwarded-Prefix: /evil",
    )

    assert answer.status == 200
    assert b"gopher" not in answer.body and b"evil" not in answer.body


def test_a_newline_in_a_header_starts_no_second_log_line(stack: Stack) -> None:
    request_id = uuid.uuid4().hex
    stack.send_raw(
        f"GET /a%0a%7b%22forged%22 HTTP/1.1\nHost: localhost\nX-Request-ID: {request_id}\n"
        'User-Agent: bad"},{"forged":"yes\t\x01',
    )

    (edge,) = logged(stack, "nginx", request_id)
    assert "forged" not in edge
