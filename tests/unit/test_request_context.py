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
    ("traceparent", "trace_id"),
    [
        (f"00-{TRACE}-b7ad6b7169203331-01", TRACE),
        (f"01-{TRACE}-b7ad6b7169203331-00-more", TRACE),
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
