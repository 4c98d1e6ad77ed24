"""HTTP requests that the API does not accept.

`refuse` also asserts that each is a problem document, leaves one log line and stores nothing.
"""

import pytest

from tests.support.app_parts import TOKEN
from tests.support.raw_http import AUTHORIZED, CACHE, ITEMS, JSON, WRITES, head, refuse, request
from tests.support.service import Service

TEA = '{"name": "Tea"}'


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ((), '{"name": "Tea"', 400),
        ((), '{"name": 1e999}', 400),
        ((), "1" + "0" * 5000, 400),
        ((), b'{"name": "\xff"}', 400),
        ((), "[" * 100_000 + "]" * 100_000, 400),
        ((), "", 415),
        # Refused before any of it is sent.
        ((JSON, "Content-Length: 20000000"), "", 413),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_every_write_needs_valid_json_within_the_limits(
    service: Service, write: str, headers: tuple[str, ...], body: str | bytes, status: int
) -> None:
    refuse(service, request(write, *headers, body=body), status)


def test_a_chunked_body_over_the_limit_is_a_413_before_its_end(service: Service) -> None:
    # White space after a complete value counts too.
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    start = head(f"PUT {CACHE}/key", AUTHORIZED, JSON, "Transfer-Encoding: chunked")
    refuse(service, start + b"1\r\n1\r\n" + chunk * 17, 413)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "json", "*/*"])
def test_a_body_of_another_type_is_a_415(service: Service, kind: str) -> None:
    about = (f"Content-Type: {kind}", "Content-Length: 2")
    refuse(service, request(f"POST {ITEMS}", *about) + b"{}", 415)


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
        *[
            (f"{method} {path}", "X: x", 404)
            for method in ("GET", "HEAD")
            for path in ("/nothing", "//x", "/api/v1/items/a/b")
        ],
        ("GET /static/../config.py", "X: x", 404),
        ("GET /static/%2e%2e/config.py", "X: x", 404),
    ],
    ids=lambda value: str(value)[:40],
)
def test_odd_lines_and_headers_are_refused(
    service: Service, line: str, header: str, status: int
) -> None:
    body = TEA if line.startswith("P") else ""
    refuse(service, request(line, header, body=body), status)


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        (f"PUT {ITEMS}", "GET HEAD OPTIONS POST"),
        (f"POST {ITEMS}/some", "DELETE GET HEAD OPTIONS PATCH PUT"),
        (f"PATCH {CACHE}/key", "DELETE GET HEAD OPTIONS PUT"),
        ("DELETE /health", "GET HEAD OPTIONS"),
        ("TRACE /", "GET HEAD OPTIONS"),
        (f"BREW {ITEMS}", "GET HEAD OPTIONS POST"),
        ("CONNECT /", "GET HEAD OPTIONS"),
    ],
)
def test_a_wrong_method_is_a_405_with_the_right_ones(
    service: Service, line: str, allowed: str
) -> None:
    answer = refuse(service, request(line), 405)
    assert sorted(answer.headers["allow"].replace(",", " ").split()) == allowed.split()


@pytest.mark.parametrize(
    ("write", "token"),
    [
        *[(write, "") for write in WRITES],
        *[(WRITES[0], token) for token in (f"{TOKEN}x", "\xff\xfe", "x" * 8000)],
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_wrong_token_is_a_401_and_not_logged(service: Service, write: str, token: str) -> None:
    headers = [f"Authorization: Bearer {token}"] if token else []
    answer = refuse(service, head(write, JSON, "Content-Length: 2", *headers) + b"{}", 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert not token or token not in service.log_lines[-1]
