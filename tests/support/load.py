"""The load generator of tests, drills and bench: threads with keep-alive HTTP connections.

Either as fast as the answers come, or at a constant rate. At a constant rate, requests leave by the
clock and are timed from when they were due, not from when a connection was free: a server that
stalls is charged for every request that waited meanwhile ("coordinated omission",
https://www.youtube.com/watch?v=lJ8ydIuPFeU). A request is sent once and never repeated.
"""

import errno
import functools
import http.client
import itertools
import math
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

BROKEN = 0
REFUSED = -1
# Shorter than a server's keep-alive, so that it is the client that closes an idle connection.
IDLE_SECONDS = 10.0
# For clients, below those that `free_port` and Linux itself choose from.
_PORTS = itertools.cycle(range(10_000, 20_000))


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    at: float
    """When it was sent, or due at a constant rate (`time.monotonic()`)."""
    seconds: float
    """From `at` to the end of the body."""
    status: int
    """`BROKEN`: the connection ended before the answer did. `REFUSED`: no connection."""
    path: str


class Load:  # pylint: disable=too-many-instance-attributes
    """Sends requests over several connections at a time.

    Usage: `Load(…).run()`, or `with Load(…) as load: …`; `load.answers` has the results.
    """

    def __init__(  # pylint: disable=too-many-arguments
        self,
        target: int | str,
        requests: Iterable[Request | tuple[str, str]],
        *,
        connections: int = 8,
        total: int | None = None,
        rate: float | None = None,
        pause: float = 0.0,
        seconds: float = 60.0,
        timeout: float = 30.0,
        new_connection_every: int | None = None,
        looks: bool = True,
        own_ports: bool = False,
        on_answer: Callable[[Request, Answer, bytes], None] | None = None,
    ) -> None:
        """Args:
        target: a port of the loopback interface, or `http://host:port`.
        requests: a sequence is sent in turn over and over; an iterator until it ends.
        connections: the most requests at a time.
        total: the number of requests; without it until `stop` or `seconds`.
        rate: requests a second; without it as fast as the answers come.
        pause: seconds that each connection waits between two requests.
        new_connection_every: every n-th request gets a connection of its own.
        looks: whether it sees that the server has ended a connection, before it sends on it.
        own_ports: whether no two connections have the same client port.
        on_answer: called in the sending thread with request, answer and body.
        """
        parts = urlsplit(f"http://127.0.0.1:{target}" if isinstance(target, int) else target)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._requests: Iterator[Request | tuple[str, str]] = (
            itertools.cycle(requests) if isinstance(requests, Sequence) else iter(requests)
        )
        self._total = math.inf if total is None else total
        self._rate, self._pause = rate, pause
        self._seconds = seconds
        self._new_connection_every = new_connection_every
        self._connection = functools.partial(_Connection, *self._address, timeout, looks, own_ports)
        self._on_answer = on_answer
        self._started = 0.0
        self._sent = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        make = functools.partial(threading.Thread, target=self._send_all, daemon=True)
        self._threads = [make() for _ in range(connections)]
        self.answers: list[Answer] = []

    def run(self) -> list[Answer]:
        """Return the answers once `total` requests are answered or `seconds` have passed."""
        self.start()
        return self._wait()

    def start(self) -> Self:
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> list[Answer]:
        """Send no more, wait for the answers that are due, and return all of them."""
        self._stop.set()
        return self._wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _wait(self) -> list[Answer]:
        for thread in self._threads:
            thread.join()
        return self.answers

    def _next(self) -> tuple[int, float, Request] | None:
        """The next request with its number, from 0, and the time when it is due."""
        with self._lock:
            found = next(self._requests, None) if self._sent < self._total else None
            if found is None:
                return None
            number, due = self._sent, time.monotonic()
            if self._rate:
                # Not a sum of steps: its rounding errors would add a request.
                due = self._started + number / self._rate
            self._sent += 1
            return number, due, found if isinstance(found, Request) else Request(*found)

    def _send_all(self) -> None:
        end = self._started + self._seconds
        connection = self._connection()
        while not self._stop.is_set() and time.monotonic() < end:
            job = self._next()
            if job is None:
                break
            number, due, request = job
            if due >= end or self._stop.wait(max(0.0, due - time.monotonic())):
                break
            every = self._new_connection_every
            if every and number % every == 0:
                own = self._connection()
                self._send(own, request, due)
                own.close()
            else:
                self._send(connection, request, due)
            self._stop.wait(self._pause)
        connection.close()

    def _send(self, connection: "_Connection", request: Request, at: float) -> None:
        status, body = connection.exchange(request)
        answer = Answer(at, time.monotonic() - at, status, request.path)
        self.answers.append(answer)
        if self._on_answer:
            self._on_answer(request, answer, body)


class _Connection:
    """A keep-alive connection that is opened again after the server closed it while idle."""

    def __init__(self, host: str, port: int, timeout: float, looks: bool, own_port: bool) -> None:
        self._looks = looks
        self._own_port = own_port
        self._open = functools.partial(http.client.HTTPConnection, host, port, timeout=timeout)
        self._http = self._open()
        self._used = 0.0

    def exchange(self, request: Request) -> tuple[int, bytes]:
        """Send a request; the answer's status and body."""
        try:
            if self._http.sock and self._stale():
                self._http.close()
            if self._own_port and not self._http.sock:
                self._connect_from_own_port()
            self._http.request(request.method, request.path, request.body, dict(request.headers))
            response = self._http.getresponse()
            body = response.read()
            self._used = time.monotonic()
            return response.status, body
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            status = REFUSED if isinstance(error, ConnectionRefusedError) else BROKEN
            return status, repr(error).encode()

    def close(self) -> None:
        self._http.close()

    def _connect_from_own_port(self) -> None:
        while True:
            self._http = self._open(source_address=("", next(_PORTS)))
            try:
                self._http.connect()
                return
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise

    def _stale(self) -> bool:
        """Whether it was idle for long, or the server has closed it: then it is readable."""
        if not self._looks:
            return False
        if time.monotonic() - self._used > IDLE_SECONDS:
            return True
        poll = select.poll()
        poll.register(self._http.sock, select.POLLIN)
        return bool(poll.poll(0))


def statuses(answers: Iterable[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


def percentile(answers: Iterable[Answer], percent: float) -> float:
    """The nearest-rank percentile of the answers' seconds.

    Raises:
        ValueError: there are no answers.
    """
    ordered = sorted(answer.seconds for answer in answers)
    if not ordered:
        raise ValueError("no answers")
    rank = math.ceil(percent / 100 * len(ordered))
    return ordered[max(rank, 1) - 1]
