"""WSGI middleware: request ID, duration, metrics, response headers and the log line.

One wrapper instead of five hooks, each of which would have a cost of its own. A request is counted
and logged before the first byte of its answer is sent, so the next scrape contains it.
"""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from app.config import Settings
from app.http import problems, server_span
from app.http.request_id import TrustedProxies
from app.http.request_id import request_context as context_of
from app.utils import metrics, request_context
from app.utils.request_context import RequestContext
from app.utils.request_log import RequestLog
from app.utils.spans import Trace
from app.utils.tracing import Tracing

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Recorder = Callable[[Environ, str], None]
"""Called after each request with its environment and the client's address."""

ROUTE = "app.route"
"""Key of the WSGI environment: the URL rule, set by request_checks.py."""
ROUTE_HEADER = "X-Route"
"""The same for the proxy in front, which cannot know the rule: its log and metrics need it."""
METRICS_PATH = "/metrics"
_PROBES = {"/health", "/health/live", "/health/ready"}
_NOT_TRACED = "/health/", f"{METRICS_PATH}/"
MANAGEMENT = "app.management"
"""Key of the WSGI environment: set if the request came by the management port."""

SECURITY_HEADERS: Headers = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
]
# Pages set a policy of their own. Other responses may load nothing.
API_POLICY = ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
# Unless the response sets another value.
NOT_CACHED = ("Cache-Control", "no-store")

error_log = logging.getLogger("app.error")


class RequestMiddleware:
    """Identifies, times, counts and logs every request of a WSGI application."""

    def __init__(
        self, application: WsgiApp, settings: Settings, record: Recorder, tracing: Tracing
    ) -> None:
        self._application = application
        self._proxies = TrustedProxies(settings.forwarded_allow_ips)
        self._log = RequestLog(settings)
        self._record = record
        self._tracing = tracing if tracing.on else None
        # Looking up a labelled child costs more than counting on it; routes are few.
        self._children: dict[tuple[str, str, int], tuple[int, Any, Any, Any, Any]] = {}

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        context = context_of(environ, self._proxies)
        if self._tracing is not None and not f"{environ['PATH_INFO']}/".startswith(_NOT_TRACED):
            self._tracing.begin(context, environ.get("HTTP_TRACEPARENT"))
        token = request_context.set_current(context)
        # A scrape that counted itself would never read the same twice.
        counted = environ["PATH_INFO"] != METRICS_PATH
        if counted:
            metrics.IN_PROGRESS.inc()
        started = time.perf_counter()
        answer = _Answer(start_response, environ, context.request_id)
        try:
            body = self._answer(environ, answer)
            if counted:
                self._record_request(environ, context, answer, time.perf_counter() - started)
            return body
        finally:
            if counted:
                metrics.IN_PROGRESS.dec()
            request_context.reset(token)

    def _answer(self, environ: Environ, answer: "_Answer") -> Iterable[bytes]:
        try:
            return self._application(environ, answer.start)
        except Exception as error:  # pylint: disable=broad-exception-caught
            # Flask answers errors of views. This is for errors outside of them.
            request_context.blame(problems.cause(error))
            error_log.exception("Unhandled error outside of the application")
            bug = problems.Problem(500, problems.BUG)
            payload = problems.document(bug, _path(environ), answer.request_id)
            length = str(len(payload))
            headers = [("Content-Type", problems.CONTENT_TYPE), ("Content-Length", length)]
            answer.start("500 Internal Server Error", headers)
            return [payload]

    def _record_request(
        self, environ: Environ, context: RequestContext, answer: "_Answer", seconds: float
    ) -> None:
        route = environ.get(ROUTE, metrics.UNMATCHED)
        method = metrics.method_label(environ["REQUEST_METHOD"])
        level, requests, duration, received, sent = self._series(method, route, answer.status)
        requests.inc()
        if context.trace is None:
            duration.observe(seconds)
        else:
            server_span.describe(
                context.trace.root,
                context,
                (method, route, answer.status, environ["wsgi.url_scheme"]),
            )
            metrics.observe_traced(duration, seconds, self._finish(context.trace))
        if announced := _length(environ.get("CONTENT_LENGTH")):
            received.inc(announced)
        sent.inc(answer.length)
        self._record(environ, context.client_ip)
        fields = {
            "method": environ["REQUEST_METHOD"],
            "path": _path(environ),
            "route": route,
            "status": answer.status,
            "duration_ms": round(seconds * 1000, 3),
            "bytes": answer.length,
            "client_ip": context.client_ip,
            "user_agent": environ.get("HTTP_USER_AGENT"),
        }
        self._log.write(level, context, fields)

    def _finish(self, trace: Trace) -> dict[str, str]:
        """Hand a request's spans over. Returns the exemplar that leads to them."""
        if self._tracing is not None:
            self._tracing.finish(trace)
        return {"trace_id": trace.trace_id, "span_id": trace.root.span_id}

    def _series(self, method: str, route: str, status: int) -> tuple[int, Any, Any, Any, Any]:
        key = method, route, status
        series = self._children.get(key)
        if series is None:
            # Errors at zero: `increase()` does not see the first value of a series.
            for error in ("500", "503"):
                metrics.REQUESTS.labels(method, route, error)
            series = self._children[key] = (
                _level(route, status),
                metrics.REQUESTS.labels(method, route, str(status)),
                metrics.DURATION.labels(method, route, f"{status // 100}xx"),
                metrics.REQUEST_BYTES.labels(route),
                metrics.RESPONSE_BYTES.labels(route),
            )
        return series


class _Answer:
    """Adds the headers of every response, and remembers its status and length."""

    def __init__(
        self, start_response: Callable[..., Any], environ: Environ, request_id: str
    ) -> None:
        self._start_response = start_response
        self._environ = environ
        self.request_id = request_id
        self.status = 500
        self.length = 0

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Any:
        self.status = int(status[:3])
        given = {name.lower(): value for name, value in headers}
        # HEAD's Content-Length is that of the GET.
        without_body = self._environ["REQUEST_METHOD"] == "HEAD"
        self.length = 0 if without_body else _length(given.get("content-length"))
        route = self._environ.get(ROUTE, metrics.UNMATCHED)
        sent = [
            *headers,
            ("X-Request-ID", self.request_id),
            (ROUTE_HEADER, route),
            *SECURITY_HEADERS,
        ]
        if "cache-control" not in given:
            sent.append(NOT_CACHED)
        if "content-security-policy" not in given:
            sent.append(API_POLICY)
        return self._start_response(status, sent, exc_info)


def _level(route: str, status: int) -> int:
    """Of a request's line; probes, several a second for ever, tell something when they fail."""
    if status >= 500:
        return logging.WARNING
    return logging.DEBUG if status < 400 and route in _PROBES else logging.INFO


def _path(environ: Environ) -> str:
    """The path as text: PEP 3333 passes its bytes as if they were Latin-1."""
    path: str = environ["PATH_INFO"]
    return path if path.isascii() else path.encode("latin-1").decode("utf-8", "replace")


def _length(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0
