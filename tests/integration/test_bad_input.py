"""Requests that are HTTP but not what the service asks for: refused, and nothing comes of them.

`Service.refuse` also sees to it that each is a problem document and leaves one line in the log,
and that all that is stored stays as it was.
"""

import json

import pytest

from tests.integration.refusals import (
    BEARER,
    CACHE,
    ITEMS,
    JSON,
    WRITES,
    Answer,
    Service,
    head,
    request,
)


@pytest.fixture
def item(service: Service) -> Answer:
    """An item that is there, as its creation answered."""
    return service.send(request(f"POST {ITEMS}", body='{"name": "Tea"}'))


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    "body",
    [
        '{"name": "Tea"',
        "{'name': 'Tea'}",
        '{"name": "Tea"} x',
        '{"name": "Tea",}',
        '{"name": NaN}',
        "[Infinity]",
        '{"name": 1e999}',
        '{"quantity": 1' + "0" * 30 + "}",
        "1" + "0" * 5000,
        '{"name": "\\ud800"}',
        b'{"name": "\xff"}',
        b"\xef\xbb\xbf{}",
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 10_000 + "1" + "}" * 10_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_json_or_would_not_survive_is_a_400(
    service: Service, write: str, body: str | bytes
) -> None:
    service.refuse(request(write, body=body), 400)


@pytest.mark.parametrize("write", WRITES)
def test_no_body_at_all_is_a_415(service: Service, write: str) -> None:
    service.refuse(request(write), 415)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "json", "*/*"])
def test_a_body_of_another_type_is_a_415(service: Service, kind: str) -> None:
    body = b'{"name": "Tea"}'

    service.refuse(
        head(f"POST {ITEMS}", BEARER, f"Content-Type: {kind}", f"Content-Length: {len(body)}")
        + body,
        415,
    )


def test_a_compressed_body_is_a_415(service: Service) -> None:
    service.refuse(request(f"POST {ITEMS}", "Content-Encoding: gzip", body="{}"), 415)


@pytest.mark.parametrize(
    ("write", "body", "location"),
    [
        (f"POST {ITEMS}", {"name": "Tea", "color": "green"}, "body.color"),
        (f"POST {ITEMS}", {"name": "Tea", "__proto__": {}}, "body.__proto__"),
        (f"POST {ITEMS}", {}, "body.name"),
        (f"POST {ITEMS}", [], "body"),
        (f"POST {ITEMS}", {"name": "x" * 101}, "body.name"),
        (f"POST {ITEMS}", {"name": "Tea", "quantity": 10**18}, "body.quantity"),
        ("PUT /api/v1/session", {"users": "ada"}, "body.users"),
        ("POST /api/v1/demo/faults", {"error_rate": 2}, "body.error_rate"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_member_that_is_unknown_or_wrong_is_a_422_that_names_it(
    service: Service, write: str, body: object, location: str
) -> None:
    answer = service.refuse(request(write, body=json.dumps(body)), 422)

    assert [error["location"] for error in answer.json["errors"]] == [location]


@pytest.mark.parametrize("write", WRITES)
def test_a_body_over_the_limit_is_a_413_before_any_of_it_was_sent(
    service: Service, write: str
) -> None:
    service.refuse(head(write, BEARER, JSON, "Content-Length: 20000000"), 413)


def test_a_chunked_body_over_the_limit_is_a_413_before_its_end(service: Service) -> None:
    # White space after a value would be cut off unnoticed by who only looks at what was read.
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    start = head(f"PUT {CACHE}/key", BEARER, JSON, "Transfer-Encoding: chunked") + b"1\r\n1\r\n"

    service.refuse(start + chunk * 17, 413)


@pytest.mark.parametrize("key", ["%FF", "%C3%28", "a%00b", "%00", "%ED%A0%80"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_key_with_a_nul_or_that_is_no_utf8_is_a_400(
    service: Service, method: str, key: str
) -> None:
    service.refuse(request(f"{method} {CACHE}/{key}", body="1"), 400)


@pytest.mark.parametrize(
    "key", ["%C3%A9", "a%20b", "k" * 201, "%0D%0ASet-Cookie:%20a=1", "%E2%80%A8", "<script>", "'--"]
)
def test_a_key_of_other_signs_or_too_long_is_a_422(service: Service, key: str) -> None:
    service.refuse(request(f"PUT {CACHE}/{key}", body="1"), 422)


def test_a_key_of_10_kb_is_a_414(service: Service) -> None:
    service.refuse(request(f"PUT {CACHE}/{'k' * 10_000}", body="1"), 414)


@pytest.mark.parametrize("headers", [["X-Large: " + "x" * 10_000], ["X-Many: x"] * 100])
def test_headers_of_10_kb_or_too_many_are_a_431(service: Service, headers: list[str]) -> None:
    service.refuse(request(f"GET {ITEMS}", *headers), 431)


@pytest.mark.parametrize("ttl", ["-1", "0", "86401", "9" * 400, "1e9", "inf", "nan", "", "1.5"])
def test_a_negative_or_endless_time_to_live_is_a_422(service: Service, ttl: str) -> None:
    service.refuse(request(f"PUT {CACHE}/key?ttl={ttl}", body="1"), 422)


@pytest.mark.parametrize(
    "query",
    [
        *(
            f"cursor={cursor}"
            for cursor in ("", "x", "c-1", "c1.5", "c" + "9" * 30, "c1%0A", "%FF")
        ),
        "limit=0",
        "limit=-1",
        "limit=101",
        "limit=1&limit=2",
        "unknown=1",
    ],
)
def test_a_cursor_that_is_none_of_ours_or_an_odd_page_is_a_422(
    service: Service, query: str
) -> None:
    service.refuse(request(f"GET {ITEMS}?{query}"), 422)


def test_a_nul_in_the_query_is_a_400(service: Service) -> None:
    service.refuse(request(f"GET {ITEMS}?cursor=%00"), 400)


def test_an_idempotency_key_that_comes_again_with_another_body_is_a_422(service: Service) -> None:
    key = "Idempotency-Key: one-order"
    first = service.send(request(f"POST {ITEMS}", key, body='{"name": "Tea"}'))

    service.refuse(request(f"POST {ITEMS}", key, body='{"name": "Coffee"}'), 422)

    again = service.send(request(f"POST {ITEMS}", key, body='{"name": "Tea"}'))
    assert (first.status, again.status, again.json) == (201, 201, first.json)


@pytest.mark.parametrize("key", ["", "a b", "k" * 201, "\xe9"])
def test_an_idempotency_key_of_other_signs_or_too_long_is_a_422(service: Service, key: str) -> None:
    service.refuse(request(f"POST {ITEMS}", f"Idempotency-Key: {key}", body='{"name": "Tea"}'), 422)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("stale", ['"v0"', 'W/"v1"', '""', "v2", ""])
def test_a_stale_or_odd_etag_of_an_item_is_a_412(
    service: Service, item: Answer, method: str, stale: str
) -> None:
    line = f"{method} {item.headers['location']}"

    service.refuse(request(line, f"If-Match: {stale}", body='{"name": "Late"}'), 412)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_stale_etag_of_a_cache_entry_is_a_412(service: Service, method: str) -> None:
    line = f"{CACHE}/versioned"
    stale = service.send(request(f"PUT {line}", body="1")).headers["etag"]
    service.send(request(f"PUT {line}", body="2"))

    service.refuse(request(f"{method} {line}", f"If-Match: {stale}", body="3"), 412)


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
def test_a_wrong_method_is_a_405_that_says_which_are_right(
    service: Service, line: str, allowed: set[str]
) -> None:
    answer = service.refuse(request(line), 405)

    assert {each.strip() for each in answer.headers["allow"].split(",")} == allowed


@pytest.mark.parametrize(
    "path",
    ["/nothing", "//x", "/api/v1/items/a/b", "/static/../config.py", "/static/%2e%2e/config.py"],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_path_that_is_not_there_is_a_404(service: Service, method: str, path: str) -> None:
    service.refuse(request(f"{method} {path}"), 404)
