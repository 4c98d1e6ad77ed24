"""The spans of a traced request, in memory until it ends."""

import os
import time
from enum import IntEnum
from typing import Self

Value = str | int | bool
Attributes = dict[str, Value]
Link = tuple[str, str]
"""Trace ID and span ID."""

# Of a request; one that makes more round trips loses the rest of them.
MAX_SPANS = 128
MAX_EVENTS = 32


class Kind(IntEnum):
    """The numbers are those of OTLP."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


class Description:
    """What all spans of a kind have in common; made once for each kind."""

    __slots__ = ("name", "attributes", "encoded")

    def __init__(self, name: str, attributes: Attributes) -> None:
        self.name = name
        self.attributes = attributes
        self.encoded = b""
        """By otlp.py, at its first use."""


class Span:  # pylint: disable=too-many-instance-attributes
    """A piece of work. As a context manager it lasts for the block, and fails by an exception."""

    __slots__ = (
        *("trace_id", "is_a", "kind", "span_id", "parent", "remote", "started", "ended"),
        *("attributes", "events", "link", "failure", "_trace"),
    )

    def __init__(self, trace: "Trace", is_a: Description, kind: Kind, parent: str) -> None:
        self.trace_id, self.is_a, self.kind, self.parent = trace.trace_id, is_a, kind, parent
        self.attributes: Attributes = {}
        """More than `is_a` has."""
        self.span_id = new_span_id()
        self.events: tuple[tuple[str, int], ...] = ()
        """Names, and when they happened, in nanoseconds since 1970."""
        self.link: Link | None = None
        """Work of another request that this one depends on."""
        self.failure: str | None = None
        """Why it failed, without secrets; None if it did not."""
        self.remote = bool(parent) and kind is Kind.SERVER
        """Whether the parent is a span of the caller."""
        self._trace: Trace | None = trace
        self.started = time.time_ns()
        self.ended = 0

    def __enter__(self) -> Self:
        if self._trace:
            self._trace.open.append(self)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if self._trace:
            self._trace.open.pop()
        if error is not None and self.failure is None:
            self.fail(type(error).__name__)
        self.end()

    def fail(self, kind: str, why: str = "") -> None:
        """Mark it as failed. `kind` is one of few, `why` has no secrets."""
        self.attributes["error.type"] = kind
        self.failure = why

    def event(self, name: str) -> None:
        """Note that something happened now."""
        if len(self.events) < MAX_EVENTS:
            self.events += ((name, time.time_ns()),)

    def end(self) -> None:
        """It is over."""
        # A cycle would be left to the garbage collector, which costs more than a span does.
        trace, self._trace = self._trace, None
        self.ended = time.time_ns()
        if trace and (len(trace.ended) < MAX_SPANS or self is trace.root):
            trace.ended.append(self)


_UNKNOWN = Description("", {})


class Trace:
    """The part of a trace that this service adds; the request's thread alone uses it."""

    __slots__ = ("trace_id", "root", "open", "ended")

    def __init__(self, trace_id: str, parent: str) -> None:
        """`parent` is the caller's span, if there is one."""
        self.trace_id = trace_id
        self.root = Span(self, _UNKNOWN, Kind.SERVER, parent)
        """The request."""
        self.open = [self.root]
        """Spans that have not ended, the innermost last."""
        self.ended: list[Span] = []

    def span(self, is_a: Description, kind: Kind) -> Span:
        """A span within the innermost one."""
        return Span(self, is_a, kind, self.open[-1].span_id)


def new_span_id() -> str:
    """A random ID as W3C Trace Context has it: 16 hexadecimal digits."""
    return os.urandom(8).hex()
