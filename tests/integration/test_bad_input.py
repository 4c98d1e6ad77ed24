"""HTTP requests that the API does not accept.

`refuse` also asserts that each is a problem document, leaves one log line and stores nothing.
"""

import json
import re
from typing import Any

import pytest

from tests.support.app_parts import TOKEN
from tests.support.raw_http import (
    AUTHORIZED,
    CACHE,
    ITEMS,
    JSON,
    WRITES,
    Answer,
    head,
    refuse,
    request,
    send,
)
from tests.support.service import Service


@pytest.fixture
def item(service: Service) -> Answer:
    """The answer that created an item."""
    return send(service, request(f"POST {ITEMS}", body='{"name": "Tea"}'))


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    "body",
    [
        '{"name": "Tea"',
        '{"name": 1e999}',
        "1" + "0" * 5000,
        b'{"name": "\xff"}',
        "[" * 100_000 + "]" * 100_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_invalid_json_and_numbers_that_do_not_fit_are_a_400(
    service: Service, write: str, body: str | bytes
) -> None:
    refuse(service, request(write, body=body), 400)


@pytest.mark.parametrize("write", WRITES)
def test_every_write_needs_a_body_within_the_limit(service: Service, write: str) -> None:
    refuse(service, request(write), 415)
    # Refused before any of it is sent.
    refuse(service, head(write, AUTHORIZED, JSON, "Content-Length: 20000000"), 413)


def test_a_chunked_body_over_the_limit_is_a_413_before_its_end(service: Service) -> None:
    # White space after a complete value counts too.
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    start = head(f"PUT {CACHE}/key", AUTHORIZED, JSON, "Transfer-Encoding: chunked")

    refuse(service, start + b"1\r\n1\r\n" + chunk * 17, 413)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "json", "*/*"])
def test_a_body_of_another_type_is_a_415(service: Service, kind: str) -> None:
    headers = (AUTHORIZED, f"Content-Type: {kind}", "Content-Length: 2")

    refuse(service, head(f"POST {ITEMS}", *headers) + b"{}", 415)


@pytest.mark.parametrize(
    ("line", "header", "status"),
    [
        (f"POST {ITEMS}", "Content-Encoding: gzip", 415),
        (f"POST {ITEMS}", "Idempotency-Key: ", 422),
        (f"POST {ITEMS}", "Idempotency-Key: a b", 422),
        (f"POST {ITEMS}", f"Idempotency-Key: {'k' * 201}", 422),
        (f"POST {ITEMS}", "Idempotency-Key: \xe9", 422),
        (f"PUT {CACHE}/{'k' * 10_000}", "X: x", 414),
        (f"PUT {CACHE}/{'k' * 201}", "X: x", 422),
        (f"PUT {CACHE}/%0D%0ASet-Cookie:%20a=1", "X: x", 422),
        (f"PUT {CACHE}/a%00b", "X: x", 400),
        (f"GET {CACHE}/%ED%A0%80", "X: x", 400),
        (f"GET {ITEMS}?cursor=%FF", "X: x", 422),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_odd_line_or_header_is_refused(
    service: Service, line: str, header: str, status: int
) -> None:
    body = b"" if line.startswith("GET") else b'{"name": "Tea"}'

    refuse(service, request(line, header, body=body), status)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("stale", ['"v0"', 'W/"v1"', '""', "v2"])
def test_a_stale_or_odd_etag_of_an_item_is_a_412(
    service: Service, item: Answer, method: str, stale: str
) -> None:
    line = f"{method} {item.headers['location']}"

    refuse(service, request(line, f"If-Match: {stale}", body='{"name": "Late"}'), 412)


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        (f"PUT {ITEMS}", {"GET", "HEAD", "OPTIONS", "POST"}),
        (f"POST {ITEMS}/some", {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT"}),
        (f"PATCH {CACHE}/key", {"DELETE", "GET", "HEAD", "OPTIONS", "PUT"}),
        ("DELETE /health", {"GET", "HEAD", "OPTIONS"}),
        ("TRACE /", {"GET", "HEAD", "OPTIONS"}),
        (f"BREW {ITEMS}", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("CONNECT /", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_a_405_that_names_the_right_ones(
    service: Service, line: str, allowed: set[str]
) -> None:
    answer = refuse(service, request(line), 405)

    assert {each.strip() for each in answer.headers["allow"].split(",")} == allowed


@pytest.mark.parametrize(
    "path",
    ["/nothing", "//x", "/api/v1/items/a/b", "/static/../config.py", "/static/%2e%2e/config.py"],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_unknown_path_is_a_404(service: Service, method: str, path: str) -> None:
    refuse(service, request(f"{method} {path}"), 404)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        f"Bearer {TOKEN}x",
        "Bearer \xff\xfe",
        "Bearer " + "x" * 8000,
    ],
    ids=lambda value: repr(value)[:40],
)
@pytest.mark.parametrize("write", WRITES)
def test_a_wrong_token_is_a_401_that_names_the_scheme(
    service: Service, write: str, authorization: str | None
) -> None:
    headers = [f"Authorization: {authorization}"] if authorization is not None else []

    answer = refuse(service, head(write, JSON, "Content-Length: 2", *headers) + b"{}", 401)

    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_no_token_is_logged_right_or_wrong(service: Service) -> None:
    refuse(service, head(f"POST {ITEMS}", "Authorization: Bearer almost-the-right-one"), 401)

    records: list[dict[str, Any]] = service.log_records
    assert not re.search(rf"almost-the-right-one|{TOKEN}", json.dumps(records))
