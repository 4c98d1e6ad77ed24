"""Latency at a constant rate, without coordinated omission.

Requests leave by the clock, whether or not earlier ones have been answered, and each is timed from
the moment it was *due*: a server that stalls is charged for every request that the stall held up,
as its users would be. (A loop that waits for one answer before it asks again sends nothing during
the stall and so reports one slow request.) See https://www.youtube.com/watch?v=lJ8ydIuPFeU.
"""

import asyncio
import gc
import json
import re
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass

from tests.performance.capacity import run_on
from tests.performance.figures import percentile

WARM_UP_SECONDS = 1.0
GIVE_UP_SECONDS = 10.0
CONNECTIONS = 64


@dataclass(frozen=True)
class Latency:
    """Milliseconds from when a request was due to when its answer had arrived whole."""

    requests: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


def measure(port: int, path: str, *, rate: float, seconds: float, cores: frozenset[int]) -> Latency:
    """Ask for `path` `rate` times a second, from a process of its own.

    Raises:
        RuntimeError: an answer was missing or no success.
    """
    arguments = [str(port), path, str(rate), str(seconds)]
    text = run_on(cores, [sys.executable, "-m", "tests.performance.constant_rate", *arguments])
    return Latency(**json.loads(text))


class _Connection(asyncio.Protocol):
    """A keep-alive connection; one request at a time."""

    def __init__(self, free: Callable[["_Connection"], None]) -> None:
        self._free = free
        self._transport: asyncio.Transport | None = None
        self._data = bytearray()
        self._due = 0.0
        self.latencies: list[float] = []
        self._clock = asyncio.get_running_loop().time
        self.failure: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self._data.clear()
        assert self._transport
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, separator, body = self._data.partition(b"\r\n\r\n")
        if not separator or len(body) < _content_length(bytes(head)):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.failure = head.partition(b"\r\n")[0].decode("latin-1")
        self.latencies.append(self._clock() - self._due)
        self._free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.failure = self.failure or "the server closed a connection"


def _content_length(head: bytes) -> int:
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if not found:
        raise RuntimeError("an answer without Content-Length")
    return int(found[1])


class _Generator:
    """Sends by the clock over connections that it keeps."""

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        self._connections: list[_Connection] = []
        self._free: deque[_Connection] = deque()
        self._waiting: deque[float] = deque()

    async def connect(self) -> None:
        """Open all connections."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, connection = await loop.create_connection(
                lambda: _Connection(self._done), "127.0.0.1", self._port
            )
            self._connections.append(connection)
        self._free.extend(self._connections)

    async def send(self, rate: float, seconds: float) -> None:
        """Send what is due in these seconds, and wait for the answers."""
        clock = asyncio.get_running_loop().time
        begin = clock()
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            # Behind schedule it still lets answers in, by a sleep of nothing.
            await asyncio.sleep(max(0.0, due - clock()))
            if self._free:
                self._free.popleft().send(self._request, due)
            else:
                self._waiting.append(due)
        give_up = clock() + GIVE_UP_SECONDS
        while len(self._free) < CONNECTIONS and clock() < give_up:
            await asyncio.sleep(0.01)
        failures = {each.failure for each in self._connections if each.failure}
        if failures or len(self._free) < CONNECTIONS:
            raise RuntimeError("; ".join(sorted(failures)) or "answers are missing")

    def taken(self) -> list[float]:
        """Milliseconds of each request since the last call, sorted."""
        found = sorted(1000 * each for one in self._connections for each in one.latencies)
        for connection in self._connections:
            connection.latencies.clear()
        return found

    def _done(self, connection: _Connection) -> None:
        # A request that found no free connection is timed from when it was due, too.
        if self._waiting:
            connection.send(self._request, self._waiting.popleft())
        else:
            self._free.append(connection)


async def _run(port: int, path: str, rate: float, seconds: float) -> Latency:
    generator = _Generator(port, path)
    await generator.connect()
    gc.disable()  # its pauses would be the service's in the figures
    await generator.send(rate, WARM_UP_SECONDS)
    generator.taken()
    await generator.send(rate, seconds)
    latencies = generator.taken()
    return Latency(
        requests=len(latencies),
        p50_ms=percentile(latencies, 50),
        p99_ms=percentile(latencies, 99),
        p999_ms=percentile(latencies, 99.9),
        max_ms=latencies[-1],
    )


def main() -> None:
    port, path, rate, seconds = sys.argv[1:]
    print(json.dumps(asdict(asyncio.run(_run(int(port), path, float(rate), float(seconds))))))


if __name__ == "__main__":
    main()
