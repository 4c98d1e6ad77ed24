"""A small load generator: threads with keep-alive connections, every answer written down."""

import http.client
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

MAX_SECONDS = 60.0
BROKEN = 0
REFUSED = -1


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request."""

    at: float
    """When it was sent (`time.monotonic()`)."""
    seconds: float
    status: int
    """`BROKEN` when the connection ended before the answer, `REFUSED` when there was none."""
    path: str


class Load:  # pylint: disable=too-many-instance-attributes
    """Sends requests over several connections at a time until told to stop, or for a minute."""

    def __init__(
        self,
        port: int,
        requests: Sequence[tuple[str, str]],
        *,
        connections: int = 8,
        total: int | None = None,
        pause: float = 0.0,
    ) -> None:
        """Args:
        port: on the loopback interface.
        requests: methods and paths, sent in turn.
        connections: how many at a time.
        total: how many requests in all; without it, until `stop`.
        pause: seconds each connection waits between two requests.
        """
        self._port = port
        self._requests = itertools.cycle(requests)
        self._pause = pause
        self._numbers: Iterator[int] = iter(range(total)) if total else itertools.count()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send_all) for _ in range(connections)]
        self.answers: list[Answer] = []

    def run(self) -> list[Answer]:
        """Send all `total` requests and return the answers."""
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()
        return self.answers

    def stop(self) -> list[Answer]:
        """Let the requests under way end, and return the answers."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.answers

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _send_all(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        deadline = time.monotonic() + MAX_SECONDS
        while not self._stop.is_set() and time.monotonic() < deadline:
            with self._lock:
                if next(self._numbers, None) is None:
                    break
                method, path = next(self._requests)
            self.answers.append(self._send(connection, method, path))
            self._stop.wait(self._pause)
        connection.close()

    def _send(self, connection: http.client.HTTPConnection, method: str, path: str) -> Answer:
        started = time.monotonic()
        try:
            connection.request(method, path)
            response = connection.getresponse()
            response.read()
            status = response.status
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            status = REFUSED if isinstance(error, ConnectionRefusedError) else BROKEN
        return Answer(started, time.monotonic() - started, status, path)
