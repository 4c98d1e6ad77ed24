"""Reads a request's identifiers from its headers: request ID, trace ID and client address."""

import ipaddress
import re
from functools import lru_cache
from typing import Any

from app.config import IpNetwork
from app.utils.request_context import RequestContext, new_request_id

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# W3C Trace Context: version, trace ID, parent ID and flags. IDs of zeros only are invalid.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
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
        hops = [hop.strip().removeprefix("::ffff:") for hop in forwarded.split(",") if hop.strip()]
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
            # A socket that listens on IPv6 as well shows IPv4 clients like this.
            environ.get("REMOTE_ADDR", "").removeprefix("::ffff:"),
            environ.get("HTTP_X_FORWARDED_FOR", ""),
        ),
    )


def _peer(peer: str, _forwarded: str) -> str:
    return peer


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
