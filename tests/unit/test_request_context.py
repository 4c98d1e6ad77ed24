"""Request IDs, trace IDs and the client's address."""

import re
from ipaddress import ip_network

import pytest

from app.http.request_id import TrustedProxies
from app.http.request_id import request_context as from_environ

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
    "traceparent", [f"00-{TRACE}-b7ad6b7169203331-01", f"01-{TRACE}-b7ad6b7169203331-00-more"]
)
def test_the_trace_id_is_taken_from_traceparent(traceparent: str) -> None:
    assert from_environ({"HTTP_TRACEPARENT": traceparent}, NONE).trace_id == TRACE


def test_each_request_of_a_trace_has_a_span_of_its_own() -> None:
    environ = {"HTTP_TRACEPARENT": f"00-{TRACE}-b7ad6b7169203331-01"}
    spans = {from_environ(environ, NONE).span_id for _ in range(100)}

    assert len(spans) == 100
    assert all(re.fullmatch("[0-9a-f]{16}", span or "") for span in spans)
    assert from_environ({}, NONE).span_id is None


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        TRACE,
        f"ff-{TRACE}-b7ad6b7169203331-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-b7ad6b7169203331-01",
        f"00-{TRACE}-b7ad6b7169203331",
    ],
)
def test_an_invalid_traceparent_is_ignored(traceparent: str) -> None:
    assert from_environ({"HTTP_TRACEPARENT": traceparent}, NONE).trace_id is None


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
    ],
)
def test_behind_trusted_proxies_the_client_is_the_nearest_other_address(
    peer: str, forwarded: str, client: str
) -> None:
    assert client_ip(peer, forwarded) == client


@pytest.mark.parametrize("forwarded", ["unknown", "192.0.2.7:4711", "<script>", "1.2.3"])
def test_a_forwarded_value_that_is_not_an_address_is_ignored(forwarded: str) -> None:
    assert client_ip("10.0.0.1", forwarded) == "10.0.0.1"


def test_a_client_that_is_not_a_proxy_cannot_forge_its_address() -> None:
    assert client_ip("192.0.2.7", "203.0.113.9") == "192.0.2.7"


def test_without_trusted_proxies_forwarded_addresses_are_ignored() -> None:
    assert client_ip("10.0.0.1", "203.0.113.9", trusted=False) == "10.0.0.1"


def test_a_peer_that_is_not_an_address_is_not_trusted() -> None:
    assert client_ip("localhost", "192.0.2.7") == "localhost"


@pytest.mark.parametrize(
    ("peer", "forwarded"),
    [
        ("::ffff:10.0.0.1", "192.0.2.7"),
        ("10.0.0.1", "::ffff:192.0.2.7"),
        ("10.0.0.1", "192.0.2.7, ::ffff:10.0.0.2"),
        ("::ffff:192.0.2.7", ""),
        ("10.0.0.1", "192.0.2.7, ::ffff:a00:2"),
    ],
)
def test_an_ipv4_address_written_as_ipv6_is_that_address(peer: str, forwarded: str) -> None:
    assert client_ip(peer, forwarded) == "192.0.2.7"
