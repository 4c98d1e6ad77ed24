"""Decides which requests are traced, and hands their spans over for export.

Off without an endpoint (otel_settings.py): then a request pays for a comparison or two. What a
traced request does is noted by `span`, `event` and `annotate`.
"""

import re
from contextlib import AbstractContextManager, nullcontext

from app.config import Settings
from app.utils import request_context
from app.utils.request_context import RequestContext, new_request_id
from app.utils.span_export import SpanExport
from app.utils.spans import Description, Kind, Link, Span, Trace, Value

_TRACE_ID = re.compile("(?!0{32})[0-9a-f]{32}")


class Tracing:
    """One for a process. `begin` and `finish` are called around each request, by the middleware."""

    def __init__(self, settings: Settings) -> None:
        sampler, ratio = settings.otel_traces_sampler, settings.otel_traces_sampler_arg
        share = 1.0 if "always_on" in sampler else 0.0 if "always_off" in sampler else ratio
        self._as_parent = sampler.startswith("parentbased")
        self._below = round(share * 2**64)
        self._settings = settings
        self.on = bool(settings.traces_url)
        self._export: SpanExport | None = None

    def start(self) -> None:
        """In a worker, after the fork, which a thread would not survive: send from now on."""
        if self.on:
            self._export = SpanExport(self._settings)

    def stop(self) -> None:
        """Send what is left, for two seconds at most."""
        if self._export:
            self._export.stop()

    def use(self, settings: Settings) -> None:
        """Send the headers of these settings from now on."""
        self._settings = settings
        if self._export:
            self._export.use(settings)

    def begin(self, context: RequestContext, traceparent: str | None) -> None:
        """Trace the request, if it is one of those to trace.

        The ratio is of trace IDs, as the SDK of every language has it, so all services agree. A
        request without a `traceparent`, which is valid here, gets its request ID as trace ID if it
        can be one: that of the proxy in front then leads to the trace.
        """
        trace_id, parent = context.trace_id, ""
        if trace_id is None or traceparent is None:
            own, traceparent = context.request_id, None
            trace_id = own if _TRACE_ID.fullmatch(own) else new_request_id()
        else:
            parent = traceparent[36:52]
        if traceparent is not None and self._as_parent:
            sampled = bool(int(traceparent[53:55], 16) & 1)
        else:
            sampled = int(trace_id[16:], 16) < self._below
        if sampled:
            trace = context.trace = Trace(trace_id, parent)
            context.trace_id, context.span_id = trace_id, trace.root.span_id

    def finish(self, trace: Trace) -> None:
        """The request is answered; nothing waits for its spans to be sent."""
        trace.root.end()
        if self._export:
            self._export.put(trace)


def current() -> Trace | None:
    """The trace of the request that this thread answers, if it has one."""
    context = request_context.current()
    return context.trace if context else None


def span(name: str, link: Link | None = None) -> AbstractContextManager[Span | None]:
    """Work within the current request, which `link` is about if it is another request's."""
    trace = current()
    if trace is None:
        return nullcontext()
    made = trace.span(Description(name, {}), Kind.INTERNAL)
    made.link = link
    return made


def event(name: str) -> None:
    """Something that has happened to the current request."""
    if trace := current():
        trace.open[-1].event(name)


def annotate(name: str, value: Value) -> None:
    """An attribute of the current request."""
    if trace := current():
        trace.root.attributes[name] = value


def here() -> Link | None:
    """What a span of another request links to, to say that it waits for this one."""
    trace = current()
    return (trace.trace_id, trace.open[-1].span_id) if trace else None
