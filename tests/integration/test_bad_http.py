"""Malformed HTTP: broken framing, forged headers, injected log lines."""

import socket
from urllib.parse import unquote

import pytest

from tests.support.raw_http import AUTHORIZED, JSON, connect, head, read_answer
from tests.support.raw_http import refuse, request, send
from tests.support.service import Service

ECHO = "POST /api/v1/demo/echo"
INFO = "GET /api/v1/info"
CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX A: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\nX-B: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rX-B: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \x1b[31m\r\n\r\n",
    ],
    ids=lambda data: repr(data[:60]),
)
def test_malformed_http_is_a_400_and_closes_the_connection(service: Service, data: bytes) -> None:
    answer = refuse(service, data, 400)
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        # A length that is ambiguous or invalid.
        (["Content-Length: -1"], b"{}", 400),
        (["Content-Length: two"], b"{}", 400),
        (["Content-Length: 2", "Content-Length: 3"], b"{}", 400),
        (["Content-Length: " + "9" * 5000], b"{}", 400),
        (["Content-Length: 2", CHUNKED], b"{}", 400),
        ([CHUNKED, CHUNKED], b"{}", 400),
        # A malformed chunk.
        ([CHUNKED], b"zz\r\n{}\r\n0\r\n\r\n", 400),
        ([CHUNKED], b"-2\r\n{}\r\n", 400),
        ([CHUNKED], b"2\r\n{}xx0\r\n\r\n", 400),
        (["Transfer-Encoding: gzip, chunked"], b"2\r\n{}\r\n0\r\n\r\n", 501),
        (["Transfer-Encoding: unknown"], b"2\r\n{}\r\n0\r\n\r\n", 501),
        (["Content-Length: 2", "Expect: the-unexpected"], b"{}", 417),
    ],
    ids=lambda value: str(value)[:40],
)
def test_odd_framing_is_refused(
    service: Service, headers: list[str], body: bytes, status: int
) -> None:
    refuse(service, head(ECHO, AUTHORIZED, JSON, *headers) + body, status)


@pytest.mark.parametrize("framing", ["Content-Length: 100", CHUNKED])
def test_a_body_that_ends_early_is_a_400_although_it_is_json(
    service: Service, framing: str
) -> None:
    written = len(service.log_lines)
    with connect(service.port) as connection:
        data = b"1" if "Length" in framing else b"1\r\n1\r\n"
        connection.sendall(head("PUT /api/v1/cache/early", AUTHORIZED, JSON, framing) + data)
        connection.shutdown(socket.SHUT_WR)
        answer = read_answer(connection)

    assert answer.status == 400
    assert [line["status"] for line in service.log_records[written:]] == [400]
    assert send(service, request("GET /api/v1/cache/early")).status == 404


def test_the_body_of_a_refused_request_is_not_read_as_the_next_request(service: Service) -> None:
    hidden = request("DELETE /api/v1/session")
    refused = head("POST /api/v1/items", JSON, f"Content-Length: {len(hidden)}") + hidden
    written = len(service.log_lines)

    with connect(service.port) as connection:
        connection.sendall(refused)
        first = read_answer(connection)
        connection.sendall(request(INFO))
        second = read_answer(connection)

    assert (first.status, second.status) == (401, 200)
    assert [line["method"] for line in service.log_records[written:]] == ["POST", "GET"]


@pytest.mark.parametrize(
    "forged", ["Host: evil.example", "X-Forwarded-Host: evil.example", "X-Host: evil.example"]
)
def test_a_forged_host_does_not_appear_in_an_answer(service: Service, forged: str) -> None:
    body = b'{"name": "Tea"}'
    hosts = [forged] if forged.startswith("Host") else ["Host: localhost", forged]
    lines = [
        "POST /api/v1/items HTTP/1.1",
        *hosts,
        AUTHORIZED,
        JSON,
        f"Content-Length: {len(body)}",
    ]

    answer = send(service, "\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    assert answer.status == 201
    assert answer.headers["location"].startswith("/api/v1/items/")
    assert b"evil" not in answer.body + repr(answer.headers).encode()


def test_an_absolute_url_of_another_host_is_answered_like_any_other(service: Service) -> None:
    answer = send(service, request("GET http://evil.example/health/live"))
    assert (answer.status, answer.json) == (200, {"status": "alive"})


def test_a_malformed_header_is_not_repeated_in_the_log(service: Service) -> None:
    refuse(service, head(INFO, "Authorization Bearer secret-of-a-client"), 400)
    line = service.log_records[-1]
    assert "secret-of-a-client" not in str(line) and "InvalidHeader" in line["message"]


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        (f"GET /{'k' * 5_000}", [], 414),
        (f"GET /{'k' * 8_180}?a=1", [], 414),
        ("GET /api/v1/items?a=1", [f"X-Large: {'x' * 9_000}"], 431),
        ("GET /api/v1/items", ["X-Many: x"] * 70, 431),
        ("GET /api/v1/%C3%A4", ["X A: b"], 400),
        ("POST /api/v1/items", ["Content-Length: two"], 400),
        ("PUT /api/v1/session?a=1", ["Content-Length: 2", CHUNKED], 400),
        (ECHO, ["Transfer-Encoding: unknown"], 501),
    ],
    ids=["line", "long line", "header", "headers", "malformed", "length", "lengths", "coding"],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_refused_request_keeps_its_id_and_its_path(
    service: Service, line: str, headers: list[str], status: int, first: bool
) -> None:
    named = ["X-Request-ID: the-callers.own_ID-1"]
    answer = refuse(service, head(line, *(named + headers if first else headers + named)), status)
    path = unquote(line.split(" ")[1].partition("?")[0])
    assert answer.headers["x-request-id"] == "the-callers.own_ID-1"
    assert answer.json["instance"] == path
    record = service.log_records[-1]
    assert (record["method"], record["path"]) == (line.split(" ")[0], path[:160])
