"""Who asks: the identifiers of the request that this thread answers."""

import ipaddress
import os
import re
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from app.config import IpNetwork

if TYPE_CHECKING:
    from app.utils.patience import Patience

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# W3C Trace Context: version, trace ID, parent ID and flags; all-zero IDs are invalid.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)


@dataclass(slots=True)
class RequestContext:
    """Identifiers that log lines and error bodies carry, and how long the request may wait."""

    request_id: str
    trace_id: str | None
    client_ip: str
    patience: "Patience | None" = None
    """What the request has left to wait for Redis, from its first use of it on."""


_current: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)
set_current = _current.set
reset = _current.reset


def current() -> RequestContext | None:
    """The request this thread answers; None outside of one."""
    return _current.get()


def request_id() -> str:
    """The current request's ID, or an empty text outside of a request."""
    context = _current.get()
    return context.request_id if context else ""


def new_request_id() -> str:
    """A fresh ID: 32 hexadecimal digits."""
    return os.urandom(16).hex()


class TrustedProxies:
    """Whose word on the client's address is believed: forwarding headers of proxies of ours.

    Args:
        networks: the addresses they have; a Unix socket's peer, which has none, is one as well.
    """

    def __init__(self, networks: tuple[IpNetwork, ...]) -> None:
        self._networks = networks
        # Parsing addresses costs several times what the rest of a context does; callers come back.
        self.client = lru_cache(maxsize=256)(self._nearest) if networks else _as_connected

    def _nearest(self, peer: str, forwarded: str) -> str:
        """The nearest address that no proxy has: what that one forwards, anybody may have forged.

        Args:
            peer: the address that has connected.
            forwarded: the header `X-Forwarded-For`.
        """
        hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
        nearest = peer
        while hops and self._is_proxy(nearest):
            nearest = hops.pop()
        return nearest if _address(nearest) else peer

    def _is_proxy(self, peer: str) -> bool:
        if not peer:
            return True
        address = _address(peer)
        return address is not None and any(address in network for network in self._networks)


def _as_connected(peer: str, _forwarded: str) -> str:
    return peer


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def from_environ(environ: dict[str, Any], proxies: TrustedProxies) -> RequestContext:
    """Read the identifiers of a WSGI request from its environment."""
    offered = environ.get("HTTP_X_REQUEST_ID", "")
    traceparent = environ.get("HTTP_TRACEPARENT")
    traced = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return RequestContext(
        offered if _REQUEST_ID.fullmatch(offered) else new_request_id(),
        traced[1] if traced else None,
        proxies.client(environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", "")),
    )
