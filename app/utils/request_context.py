"""The identifiers of the request that this thread answers, for log lines and error bodies."""

import os
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class RequestContext:
    request_id: str
    trace_id: str | None
    client_ip: str


_current: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)
current = _current.get
"""Returns the request that this thread answers; None outside of a request."""
set_current = _current.set
reset = _current.reset


def request_id() -> str:
    """The current request's ID, or an empty text outside of a request."""
    context = current()
    return context.request_id if context else ""


def new_request_id() -> str:
    """A random ID: 32 hexadecimal digits."""
    return os.urandom(16).hex()
