"""Gunicorn's threaded worker, with less work between requests and an answer for every request.

- After an answer, a thread stays with the connection for a moment. Gunicorn gives it back to the
  main thread, which costs a wake-up, two system calls and a place in a queue for each request.
- A worker with requests in flight lets the others accept first. All workers wake up for a new
  connection, a running one takes many before those that slept have a CPU, and keep-alive makes that
  last: one of two workers could get all the work.
- A request that Gunicorn refuses (a URL that is too long, a header that is too large, not HTTP)
  gets the same kind of answer, log line and count as any other error.
- A request that waited for a thread longer than QUEUE_TIMEOUT_SECONDS is refused: its client has
  probably given up, and to answer it would make the next one wait as long.
- A worker that stops closes its listener at once.
"""

import logging
import os
import re
import select
import socket
import threading
import time
import traceback
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, ClassVar
from urllib.parse import unquote

from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.http.message import Message
from gunicorn.workers.gthread import ThreadWorker

from app.http import problems
from app.http.middleware import SECURITY_HEADERS
from app.http.problems import Problem
from app.server import lifecycle
from app.utils import metrics, request_context
from app.utils.request_log import REQUEST_LOGGER

# How long a thread stays with a connection that it has answered, while no other needs it.
KEEPALIVE_MS = 5.0

# A refused request is identified by what came of it, if it looks like HTTP.
MAX_HEAD = 65_536
MAX_LOGGED = 160
_REQUEST_ID = re.compile(
    rb"\r\nX-Request-ID:[ \t]*([A-Za-z0-9._-]{1,128})[ \t]*\r\n", re.IGNORECASE
)
_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[^ ?#\r\n]*)")

# The status of each of Gunicorn's refusals. All its other parse errors are 400.
_STATUSES: tuple[tuple[type[Exception], int, str], ...] = (
    (errors.LimitRequestLine, 414, "The URL is too long."),
    (errors.LimitRequestHeaders, 431, "A header is too large, or there are too many."),
    (errors.UnsupportedTransferCoding, 501, "This transfer coding is not supported."),
    (errors.ExpectationFailed, 417, "This expectation is not supported."),
    (errors.ParseException, 400, "This is not a valid HTTP request."),
)

_LEVELS = {500: logging.ERROR, 503: logging.WARNING}

log = logging.getLogger(REQUEST_LOGGER)


class QueuedTooLong(Exception):
    """The request waited too long for a thread."""


class ErrorLogger(Logger):  # type: ignore[misc]
    """Gunicorn's logger without the access log, because the app logs each request."""

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Nothing."""


class Worker(ThreadWorker):  # type: ignore[misc]
    queue_timeout_seconds: ClassVar[float]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # When each of the connections that wait for a thread began to.
        self._waiting: SimpleQueue[float] = SimpleQueue()
        self._turn = threading.local()
        # One thread never stays with a connection: a new one must not wait for the others.
        self._may_stay = threading.Semaphore(max(0, self.cfg.threads - 1))

    def accept(self, listener: Any) -> None:
        """As Gunicorn's, but after the workers that have nothing to do."""
        idle = len(self.keepalived_conns) + len(self.pending_conns)
        if self.cfg.workers > 1 and self.nr_conns > idle:
            os.sched_yield()
        super().accept(listener)

    def enqueue_req(self, conn: Any) -> None:
        """As Gunicorn's. Remembers that a connection waits for a thread."""
        self._waiting.put(time.monotonic())
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        """Answer a request and, on the same thread, those that follow it at once."""
        self._turn.waited = time.monotonic() - self._waiting.get()
        while True:
            again = super().handle(conn)
            if again is not True or not self._next_request_follows(conn):
                return again

    def handle_request(self, req: Any, conn: Any) -> Any:
        """As Gunicorn's, if the request is still worth an answer."""
        waited, self._turn.waited = self._turn.waited, 0.0
        if waited > self.queue_timeout_seconds:
            raise QueuedTooLong
        return super().handle_request(req, conn)

    def _next_request_follows(self, conn: Any) -> bool:
        """Wait a moment for the next request, unless other connections need this thread."""
        if not self.alive or not self._waiting.empty():
            return False
        if not self._may_stay.acquire(blocking=False):  # pylint: disable=consider-using-with
            return False
        try:
            poll = select.poll()
            poll.register(conn.sock, select.POLLIN)
            return bool(poll.poll(KEEPALIVE_MS))
        finally:
            self._may_stay.release()

    def set_accept_enabled(self, enabled: bool) -> None:
        """As Gunicorn's, but a worker that stops closes its listener at once.

        Gunicorn keeps it open for as long as idle connections stay: for two seconds the kernel
        accepts connections, all of which are reset in the end. A closed listener refuses them, and
        a proxy can safely send the request elsewhere.
        """
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            accepted = -1
            while lifecycle.draining() and accepted != self.nr_conns:
                accepted = self.nr_conns
                self.accept(listener)  # connections that the kernel has accepted are served
            listener.close()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that could not be parsed, or whose handling failed."""
        problem = _problem_for(exc)
        req = req or _parsed(exc)
        received = _received(exc, client, req)
        offered, line = _REQUEST_ID.search(received), _REQUEST_LINE.match(received)
        request_id = offered[1].decode() if offered else request_context.new_request_id()
        method = getattr(req, "method", None) or (line[1].decode() if line else "OTHER")
        target = getattr(req, "path", None) or (line[2] if line else "/")
        path = unquote(target, errors="replace")
        payload = problems.document(problem, path, request_id)
        label = metrics.method_label(method)
        metrics.REQUESTS.labels(label, metrics.UNMATCHED, str(problem.status)).inc()
        log.log(
            _LEVELS.get(problem.status, logging.INFO),
            "%s",
            # Not the exception's text, which repeats the header or line that may hold a secret.
            f"{problem.detail} {type(exc).__name__}",
            exc_info=exc if problem.status == 500 else None,
            extra={
                "request_id": request_id,
                "method": method,
                "path": path[:MAX_LOGGED],
                "route": metrics.UNMATCHED,
                "status": problem.status,
                "bytes": len(payload),
                "client_ip": addr[0] if addr else "",
            },
        )
        try:
            util.write_nonblock(client, _response(problem, request_id, payload))
        except OSError:
            log.debug("The client has closed the connection")


def _parsed(exc: BaseException) -> Any:
    """The request that Gunicorn refused, as far as it has read it."""
    readers = (frame.f_locals.get("self") for frame, _ in traceback.walk_tb(exc.__traceback__))
    return next((reader for reader in readers if isinstance(reader, Message)), None)


def _received(exc: BaseException, client: Any, req: Any) -> bytes:
    """What came of a request that was not handled, as far as it names the request.

    Gunicorn has it in variables of its parser, and the rest may still be in the socket.
    """
    frames = (frame.f_locals for frame, _ in traceback.walk_tb(exc.__traceback__))
    read = b"".join(each["buf"] for each in frames if isinstance(each.get("buf"), bytearray))
    for name, value in getattr(req, "headers", ()):
        read += f"\r\n{name}: {value}\r\n".encode("latin-1")
    with suppress(OSError):
        read += client.recv(MAX_HEAD, socket.MSG_DONTWAIT)
    return read


def _problem_for(exc: BaseException) -> Problem:
    for kind, status, detail in _STATUSES:
        if isinstance(exc, kind):
            return Problem(status, detail)
    if isinstance(exc, QueuedTooLong):
        headers = {"Retry-After": str(problems.RETRY_AFTER_SECONDS)}
        return Problem(503, "The service is too busy to answer in time.", headers=headers)
    return Problem(500, problems.BUG)


def _response(problem: Problem, request_id: str, payload: bytes) -> bytes:
    headers = [
        ("Content-Type", problems.CONTENT_TYPE),
        ("Content-Length", str(len(payload))),
        ("Connection", "close"),
        ("X-Request-ID", request_id),
        *problem.headers.items(),
        *SECURITY_HEADERS,
    ]
    head = f"HTTP/1.1 {problem.status} {problems.title(problem.status)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers)
    return head.encode("latin-1") + b"\r\n" + payload
