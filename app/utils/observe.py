"""The one wrapper around the application: request ID, timing, metrics, headers, the log line.

It does in one place, at the WSGI boundary, what is otherwise five hooks, each with its own cost.
A request is counted and logged before its first byte leaves, so whoever has the answer will find
it in the next scrape.
"""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from app.config import Settings
from app.utils import metrics, problems, request_context
from app.utils.request_context import RequestContext, TrustedProxies
from app.utils.request_log import RequestLog

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

ROUTE = "app.route"
METRICS_PATH = "/metrics"

SECURITY_HEADERS: Headers = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
]
# Pages bring a policy of their own; what is no page may load nothing.
API_POLICY = ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
# What may be kept says so itself.
NOT_CACHED = ("Cache-Control", "no-store")

error_log = logging.getLogger("app.error")


class Recorder(Protocol):
    """Who else wants to know of each request."""

    def __call__(
        self, environ: Environ, client_ip: str, route: str, status: int, seconds: float
    ) -> None: ...


class Observed:
    """A WSGI application whose every request is identified, timed, counted and logged."""

    def __init__(self, application: WsgiApp, settings: Settings, record: Recorder) -> None:
        self._application = application
        self._proxies = TrustedProxies(settings.forwarded_allow_ips)
        self._log = RequestLog(settings)
        self._record = record
        # Looking up a labelled child costs more than counting on it; routes are few.
        self._children: dict[tuple[str, str, int], tuple[Any, Any, Any, Any]] = {}

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        context = request_context.from_environ(environ, self._proxies)
        token = request_context.set_current(context)
        # A scrape that counted itself would never read the same twice.
        counted = environ["PATH_INFO"] != METRICS_PATH
        if counted:
            metrics.IN_PROGRESS.inc()
        started = time.perf_counter()
        answer = _Answer(start_response, environ["REQUEST_METHOD"], context.request_id)
        try:
            body = self._answer(environ, answer)
            if counted:
                self._note(environ, context, answer, time.perf_counter() - started)
            return body
        finally:
            if counted:
                metrics.IN_PROGRESS.dec()
            request_context.reset(token)

    def _answer(self, environ: Environ, answer: "_Answer") -> Iterable[bytes]:
        try:
            return self._application(environ, answer.start)
        except Exception:  # pylint: disable=broad-exception-caught
            # Flask answers its own errors; this is for what goes wrong outside of it.
            error_log.exception("Unhandled error outside of the application")
            problem = problems.Problem(500, "The service failed to answer.")
            body = problems.body(problem, instance=_path(environ), request_id=answer.request_id)
            headers = [("Content-Type", problems.CONTENT_TYPE), ("Content-Length", str(len(body)))]
            answer.start("500 Internal Server Error", headers)
            return [body]

    def _note(
        self,
        environ: Environ,
        context: RequestContext,
        answer: "_Answer",
        seconds: float,
    ) -> None:
        route = environ.get(ROUTE, metrics.UNMATCHED)
        method = metrics.method_label(environ["REQUEST_METHOD"])
        requests, duration, received, sent = self._series(method, route, answer.status)
        requests.inc()
        duration.observe(seconds)
        if announced := _length(environ.get("CONTENT_LENGTH")):
            received.inc(announced)
        sent.inc(answer.length)
        self._record(environ, context.client_ip, route, answer.status, seconds)
        self._log.write(
            logging.INFO if answer.status < 500 else logging.WARNING,
            context,
            {
                "method": environ["REQUEST_METHOD"],
                "path": _path(environ),
                "route": route,
                "status": answer.status,
                "duration_ms": round(seconds * 1000, 3),
                "bytes": answer.length,
                "client_ip": context.client_ip,
                "user_agent": environ.get("HTTP_USER_AGENT"),
            },
        )

    def _series(self, method: str, route: str, status: int) -> tuple[Any, Any, Any, Any]:
        key = method, route, status
        series = self._children.get(key)
        if series is None:
            series = self._children[key] = (
                metrics.REQUESTS.labels(method, route, str(status)),
                metrics.DURATION.labels(method, route, f"{status // 100}xx"),
                metrics.REQUEST_BYTES.labels(route),
                metrics.RESPONSE_BYTES.labels(route),
            )
        return series


class _Answer:
    """Adds the headers that every response carries, and remembers what was answered."""

    def __init__(self, start_response: Callable[..., Any], method: str, request_id: str) -> None:
        self._start_response = start_response
        self._bodiless = method == "HEAD"  # its Content-Length is that of the GET
        self.request_id = request_id
        self.status = 500
        self.length = 0

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Any:
        self.status = int(status[:3])
        given = {name.lower(): value for name, value in headers}
        self.length = 0 if self._bodiless else _length(given.get("content-length"))
        sent = [*headers, ("X-Request-ID", self.request_id), *SECURITY_HEADERS]
        if "cache-control" not in given:
            sent.append(NOT_CACHED)
        if "content-security-policy" not in given:
            sent.append(API_POLICY)
        return self._start_response(status, sent, exc_info)


def _path(environ: Environ) -> str:
    """The path as the caller meant it: PEP 3333 hands over its bytes as if they were Latin-1."""
    path: str = environ["PATH_INFO"]
    return path if path.isascii() else path.encode("latin-1").decode("utf-8", "replace")


def _length(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0
