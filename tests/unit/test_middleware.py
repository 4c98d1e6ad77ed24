"""The request middleware: headers, metrics, the log line, and whose request it is."""

import logging
import re
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

import pytest
from werkzeug.test import Client

from app.http.middleware import ROUTE, RequestMiddleware
from app.http.request_id import TrustedProxies, request_context as from_environ
from app.utils import metrics
from app.utils.tracing import Tracing
from tests.support.app_parts import make_settings, sample

Recorded = list[str]


def answering(status: str, headers: list[tuple[str, str]], route: str | None = None) -> Any:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if route:
            environ[ROUTE] = route
        start_response(status, headers)
        return [b"hello"]

    return application


def breaking(_environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
    raise ZeroDivisionError("a secret detail")


def observed(application: Any, recorded: Recorded | None = None) -> Client:
    def record(_environ: Any, client_ip: str) -> None:
        if recorded is not None:
            recorded.append(client_ip)

    settings = make_settings()
    return Client(RequestMiddleware(application, settings, record, Tracing(settings)))


def line(caplog: pytest.LogCaptureFixture) -> Any:
    (record,) = [each for each in caplog.records if each.name == "app.request"]
    return record


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_every_answer_carries_the_request_id_and_the_security_headers() -> None:
    response = observed(answering("204 No Content", [])).get("/", headers={"X-Request-ID": "mine"})
    assert response.headers["X-Request-ID"] == "mine"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_the_length_announced_to_head_is_not_counted(caplog: pytest.LogCaptureFixture) -> None:
    client = observed(answering("200 OK", [("Content-Length", "5")], route="/head"))
    client.get("/head")
    client.head("/head")
    lines = [vars(record) for record in caplog.records if record.name == "app.request"]
    assert [line["bytes"] for line in lines] == [5, 0]
    assert sample(metrics.RESPONSE_BYTES, route="/head") == 5


def test_count_duration_and_bytes_are_recorded_under_the_route() -> None:
    route = "/of-this-test/<name>"  # other tests count in this process, too
    client = observed(answering("201 Created", [("Content-Length", "5")], route))
    for _ in range(2):
        client.post("/of-this-test/a", data=b"1234")

    labels = {"method": "POST", "route": route}
    assert sample(metrics.REQUESTS, status="201", **labels) == 2
    assert sample(metrics.DURATION, "_count", status_class="2xx", **labels) == 2
    assert sample(metrics.REQUEST_BYTES, route=route) == 8
    assert sample(metrics.RESPONSE_BYTES, route=route) == 10
    assert sample(metrics.IN_PROGRESS) == 0


def test_errors_of_a_route_are_counted_from_zero_on() -> None:
    observed(answering("200 OK", [], "/first")).get("/")
    for status in ("500", "503"):
        labels = {"method": "GET", "route": "/first", "status": status}
        assert metrics.REGISTRY.get_sample_value("http_requests_total", labels) == 0


@pytest.mark.parametrize(("routes", "limits"), [(20, 12), (200, 6), (1000, 3)])
def test_many_routes_on_fifty_instances_have_few_buckets_and_always_that_of_the_objective(
    monkeypatch: pytest.MonkeyPatch, routes: int, limits: int
) -> None:
    # pylint: disable-next=protected-access
    monkeypatch.setitem(metrics.DURATION._kwargs, "buckets", metrics.DURATION_BUCKETS)
    metrics.fit_buckets(routes, 50)
    observed(answering("200 OK", [], f"/of-{routes}")).get("/")
    samples = next(iter(metrics.DURATION.collect())).samples
    found = {each.labels.get("le") for each in samples if each.labels["route"] == f"/of-{routes}"}
    assert len(found - {None}) == limits and {"0.25", "+Inf"} <= found


def test_a_scrape_is_neither_counted_nor_logged(caplog: pytest.LogCaptureFixture) -> None:
    recorded: Recorded = []
    observed(answering("200 OK", []), recorded).get("/metrics")
    assert not recorded
    assert not caplog.records


def test_a_path_is_logged_decoded(caplog: pytest.LogCaptureFixture) -> None:
    observed(answering("404 Not Found", [])).get("/caf%C3%A9/%FF")
    assert line(caplog).path == "/café/\ufffd"


PROBES = ("/health", "/health/live", "/health/ready")


@pytest.mark.parametrize(
    ("path", "status", "level"),
    [
        ("/", "200 OK", logging.INFO),
        ("/", "404 Not Found", logging.INFO),
        ("/", "503 Unavailable", logging.WARNING),
        # A probe is a line of interest only if it fails.
        *[(path, "200 OK", logging.DEBUG) for path in PROBES],
        *[(path, "405 Method Not Allowed", logging.INFO) for path in PROBES],
        *[(path, "503 Unavailable", logging.WARNING) for path in PROBES],
    ],
)
def test_the_level_of_a_request_is_that_of_its_answer(
    caplog: pytest.LogCaptureFixture, path: str, status: str, level: int
) -> None:
    caplog.set_level(logging.DEBUG)
    observed(answering(status, [], route=path)).get(path)
    assert line(caplog).levelno == level
    assert ("exception" in vars(line(caplog))) == (level == logging.WARNING)


def test_an_error_outside_of_flask_is_a_500_without_internals(
    caplog: pytest.LogCaptureFixture,
) -> None:
    response = observed(breaking).get("/x")

    assert response.status_code == 500
    assert response.content_type == "application/problem+json"
    assert response.json is not None
    assert response.json["request_id"] == response.headers["X-Request-ID"]
    assert "secret detail" not in response.text
    assert line(caplog).status == 500
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("length", ["", "x", "-1", "١"])
def test_a_length_that_is_not_a_number_counts_as_zero(length: str) -> None:
    route = "/odd"
    client = observed(answering("200 OK", [], route))
    client.get("/", environ_base={"CONTENT_LENGTH": length})
    assert sample(metrics.REQUEST_BYTES, route=route) == 0


PROXIES = TrustedProxies((ip_network("10.0.0.0/8"), ip_network("::1")))
NONE = TrustedProxies(())
TRACE = "0af7651916cd43dd8448eb211c80319c"


def client_ip(peer: str, forwarded: str, trusted: bool = True) -> str:
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    return from_environ(environ, PROXIES if trusted else NONE).client_ip


@pytest.mark.parametrize("offered", ["a", "A-z_0.9", "x" * 128])
def test_a_callers_request_id_is_kept(offered: str) -> None:
    assert from_environ({"HTTP_X_REQUEST_ID": offered}, NONE).request_id == offered


@pytest.mark.parametrize("offered", ["", "x" * 129, "a b", "a\nb", "a\n", "é", "<script>", "a,b"])
def test_any_other_request_id_is_replaced_by_a_new_one(offered: str) -> None:
    request_id = from_environ({"HTTP_X_REQUEST_ID": offered}, NONE).request_id
    assert re.fullmatch(r"[0-9a-f]{32}", request_id)


@pytest.mark.parametrize(
    ("traceparent", "trace_id"),
    [
        (f"00-{TRACE}-b7ad6b7169203331-01", TRACE),
        (f"01-{TRACE}-b7ad6b7169203331-00-more", TRACE),
        (f"00-{TRACE}-b7ad6b7169203331-00-more", None),  # a later version has more, 00 has not
        ("", None),
        (TRACE, None),
        (f"ff-{TRACE}-b7ad6b7169203331-01", None),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-b7ad6b7169203331-01", None),
        (f"00-{TRACE}-b7ad6b7169203331", None),
    ],
)
def test_a_valid_traceparent_gives_the_trace_id_and_each_request_a_span_of_its_own(
    traceparent: str, trace_id: str | None
) -> None:
    contexts = [from_environ({"HTTP_TRACEPARENT": traceparent}, NONE) for _ in range(100)]
    assert {context.trace_id for context in contexts} == {trace_id}
    spans = {context.span_id or "" for context in contexts}
    assert len(spans) == (100 if trace_id else 1)
    assert all(re.fullmatch("[0-9a-f]{16}" if trace_id else "", span) for span in spans)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "203.0.113.9, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "203.0.113.9, 192.0.2.7, 10.1.1.1", "192.0.2.7"),
        ("10.0.0.1", "10.2.2.2, 10.1.1.1", "10.2.2.2"),
        ("10.0.0.1", " 2001:db8::7 ", "2001:db8::7"),
        ("::1", "192.0.2.7", "192.0.2.7"),
        ("", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", ", ,", "10.0.0.1"),
        # What is not an address is ignored, as is what a client forges that is not a proxy.
        *[
            ("10.0.0.1", odd, "10.0.0.1")
            for odd in ("unknown", "192.0.2.7:4711", "<script>", "1.2.3")
        ],
        ("192.0.2.7", "203.0.113.9", "192.0.2.7"),
        ("localhost", "192.0.2.7", "localhost"),
        # An IPv4 address written as IPv6 is that address.
        ("::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "::ffff:192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7, ::ffff:10.0.0.2", "192.0.2.7"),
        ("::ffff:192.0.2.7", "", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7, ::ffff:a00:2", "192.0.2.7"),
    ],
)
def test_the_client_is_the_nearest_untrusted_address(
    peer: str, forwarded: str, client: str
) -> None:
    assert client_ip(peer, forwarded) == client


def test_without_trusted_proxies_forwarded_addresses_are_ignored() -> None:
    assert client_ip("10.0.0.1", "203.0.113.9", trusted=False) == "10.0.0.1"
