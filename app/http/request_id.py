"""Reads a request's identifiers from its headers: request ID, trace ID and client address."""

import ipaddress
import re
from functools import lru_cache
from typing import Any

from app.config import IpNetwork
from app.utils.request_context import RequestContext, new_request_id
from app.utils.spans import new_span_id

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# W3C Trace Context: version, trace ID, parent ID and flags. IDs of zeros only are invalid, and
# version 00 has nothing after them.
_TRACEPARENT = re.compile(
    r"(?!ff|00.{53}-)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)


class TrustedProxies:
    """Finds the client's address behind proxies whose `X-Forwarded-For` is believed.

    The peer of a Unix socket, which has no address, is believed as well once there are any.
    """

    def __init__(self, networks: tuple[IpNetwork, ...]) -> None:
        self._networks = networks
        # Parsing addresses costs several times what the rest of a context does; clients come back.
        self.client = lru_cache(maxsize=256)(self._nearest) if networks else _peer

    def _nearest(self, peer: str, forwarded: str) -> str:
        """The nearest address that is not a proxy's: anything before it may be forged."""
        hops = [_plain(hop.strip()) for hop in forwarded.split(",") if hop.strip()]
        nearest = peer
        while hops and self._is_proxy(nearest):
            nearest = hops.pop()
        return nearest if _address(nearest) else peer

    def _is_proxy(self, peer: str) -> bool:
        if not peer:
            return True
        address = _address(peer)
        return address is not None and any(address in network for network in self._networks)


def request_context(environ: dict[str, Any], proxies: TrustedProxies) -> RequestContext:
    """The identifiers of a WSGI request."""
    offered = environ.get("HTTP_X_REQUEST_ID", "")
    traceparent = environ.get("HTTP_TRACEPARENT")
    traced = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return RequestContext(
        offered if _REQUEST_ID.fullmatch(offered) else new_request_id(),
        traced[1] if traced else None,
        proxies.client(
            _plain(environ.get("REMOTE_ADDR", "")), environ.get("HTTP_X_FORWARDED_FOR", "")
        ),
        new_span_id() if traced else None,
    )


@lru_cache(maxsize=256)
def network_of(client: str) -> str:
    """The network of 64 bits of an IPv6 address, which a household gets; else `client` as it is."""
    address = _address(client.partition("%")[0]) if ":" in client else None
    if address is None or address.version == 4:
        return client
    return str(ipaddress.ip_network((address, 64), strict=False))


def _plain(address: str) -> str:
    """An IPv4 address as such: sockets that listen on IPv6 as well show it as ::ffff:192.0.2.7."""
    return address.removeprefix("::ffff:") if "." in address else address


def _peer(peer: str, _forwarded: str) -> str:
    return peer


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # An IPv4 address may be written as IPv6.
    return getattr(address, "ipv4_mapped", None) or address
