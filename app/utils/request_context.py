"""Who asks: the identifiers of the request that this thread answers."""

import ipaddress
import os
import re
import uuid
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from app.config import IpNetwork

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# W3C Trace Context: version, trace ID, parent ID and flags; all-zero IDs are invalid.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Identifiers that log lines and error bodies carry."""

    request_id: str
    trace_id: str | None
    client_ip: str


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
    return uuid.UUID(bytes=os.urandom(16), version=4).hex


def from_environ(environ: dict[str, Any], trusted: tuple[IpNetwork, ...]) -> RequestContext:
    """Read the identifiers of a WSGI request.

    Args:
        environ: the WSGI environment.
        trusted: networks of proxies whose forwarding headers are believed.
    """
    offered = environ.get("HTTP_X_REQUEST_ID", "")
    traceparent = _TRACEPARENT.fullmatch(environ.get("HTTP_TRACEPARENT", ""))
    return RequestContext(
        offered if _REQUEST_ID.fullmatch(offered) else new_request_id(),
        traceparent[1] if traceparent else None,
        _client_ip(environ, trusted),
    )


def _client_ip(environ: dict[str, Any], trusted: tuple[IpNetwork, ...]) -> str:
    """The nearest address that no trusted proxy has: what it forwards, anybody may have forged."""
    peer: str = environ.get("REMOTE_ADDR", "")
    forwarded = environ.get("HTTP_X_FORWARDED_FOR", "") if trusted else ""
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
    while hops and is_trusted(peer, trusted):
        peer = hops.pop()
    return peer if _is_address(peer) else environ.get("REMOTE_ADDR", "")


def is_trusted(peer: str, trusted: tuple[IpNetwork, ...]) -> bool:
    """Whether `peer` is a proxy of ours; a Unix socket's peer, which has no address, is."""
    if not trusted:
        return False
    if not peer:
        return True
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in trusted)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
