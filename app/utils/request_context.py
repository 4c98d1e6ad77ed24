"""The identifiers of the request that this thread answers, for log lines and error bodies."""

import os
from contextvars import ContextVar
from dataclasses import dataclass

from app.utils.spans import Trace


@dataclass(slots=True, eq=False)
class RequestContext:
    request_id: str
    trace_id: str | None
    client_ip: str
    span_id: str | None = None
    """Of the work on this request; None without a trace."""
    exception: str | None = None
    """Why the answer is a 5xx, in one line without secrets."""
    trace: Trace | None = None
    """Set if this request is traced."""


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


def blame(exception: str) -> None:
    """Note why the current request is answered with a 5xx; its log line names it."""
    if context := current():
        context.exception = exception
