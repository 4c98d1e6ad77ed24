"""The worker that gunicorn_conf.py names: it has an answer for every request, and stops at once.

- A request line that is too long, a header that is too large or no HTTP at all never reaches the
  app; Gunicorn answers those itself, in HTML. Here they have the shape, the request ID, the log
  line and the count that every other error has.
- A worker that stops closes its listener at once.
"""

import logging
from typing import Any

from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.http import errors

from app.utils import lifecycle, metrics, problems, request_context
from app.utils.lingering import LingeringWorker
from app.utils.logger import REQUEST_LOGGER
from app.utils.observe import SECURITY_HEADERS
from app.utils.problems import Problem

# Which of Gunicorn's refusals is which status; all its other parse errors are 400.
_STATUSES: tuple[tuple[type[Exception], int, str], ...] = (
    (errors.LimitRequestLine, 414, "The URL is too long."),
    (errors.LimitRequestHeaders, 431, "A header is too large, or there are too many."),
    (errors.UnsupportedTransferCoding, 501, "This transfer coding is not supported."),
    (errors.ExpectationFailed, 417, "This expectation is not supported."),
    (errors.ParseException, 400, "This is not a valid HTTP request."),
)

log = logging.getLogger(REQUEST_LOGGER)


class ErrorLogger(Logger):  # type: ignore[misc]
    """Gunicorn's logger, without the access log, which it would gather for each request."""

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Nothing: the app writes the request's line."""


class Worker(LingeringWorker):
    """The worker class that gunicorn_conf.py names."""

    def set_accept_enabled(self, enabled: bool) -> None:
        """As Gunicorn's, but a worker that stops closes its listener at once.

        Gunicorn keeps it open, unserved, for as long as idle connections linger: two seconds in
        which the kernel goes on taking connections, all of which are reset in the end. Closed, the
        next connection is refused, and a proxy can pass its request on without doubt.
        """
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            taken = -1
            while lifecycle.draining() and taken != self.nr_conns:
                taken = self.nr_conns
                self.accept(listener)  # what the kernel has taken already is served
            listener.close()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that could not be parsed, or whose handling broke."""
        problem = _problem_for(exc)
        request_id = request_context.new_request_id()
        path = getattr(req, "path", None) or "/"
        method = getattr(req, "method", None) or "OTHER"
        body = problems.body(problem, instance=path, request_id=request_id)
        label = metrics.method_label(method)
        metrics.REQUESTS.labels(label, metrics.UNMATCHED, str(problem.status)).inc()
        log.log(
            logging.ERROR if problem.status == 500 else logging.INFO,
            "%s",
            exc,
            exc_info=exc if problem.status == 500 else None,
            extra={
                "request_id": request_id,
                "method": method,
                "path": path,
                "route": metrics.UNMATCHED,
                "status": problem.status,
                "bytes": len(body),
                "client_ip": addr[0] if addr else "",
            },
        )
        try:
            util.write_nonblock(client, _response(problem, request_id, body))
        except OSError:
            log.debug("The client is gone")


def _problem_for(exc: BaseException) -> Problem:
    for kind, status, detail in _STATUSES:
        if isinstance(exc, kind):
            return Problem(status, detail)
    return Problem(500, "The service failed to answer; the log tells more under the request ID.")


def _response(problem: Problem, request_id: str, body: bytes) -> bytes:
    headers = [
        ("Content-Type", problems.CONTENT_TYPE),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
        ("X-Request-ID", request_id),
        *SECURITY_HEADERS,
    ]
    head = f"HTTP/1.1 {problem.status} {problems.title(problem.status)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers)
    return head.encode("latin-1") + b"\r\n" + body
