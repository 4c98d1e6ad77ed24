"""Hostile clients, each bounded in number and time, against the stack under test."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

Writers = list[asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def slow_connections(port: int, number: int) -> AsyncIterator[Writers]:
    """Slowloris: this many connections that send one header line every few seconds."""
    writers: Writers = []
    for _ in range(number):
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /api/v1/items HTTP/1.1\r\nHost: localhost\r\n")
        writers.append(writer)
    trickle = asyncio.create_task(_trickle(writers))
    try:
        yield writers
    finally:
        trickle.cancel()
        for writer in writers:
            writer.transport.abort()


async def _trickle(writers: Writers) -> None:
    while True:
        for writer in writers:
            with contextlib.suppress(OSError):
                writer.write(b"X-More: 1\r\n")
        await asyncio.sleep(2)


async def send(port: int, payload: bytes, times: int = 1) -> bytes:
    """Send these bytes over and over, and return the beginning of what comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with contextlib.suppress(OSError):
            for _ in range(times):
                writer.write(payload)
                await writer.drain()
        with contextlib.suppress(OSError, TimeoutError):
            return await asyncio.wait_for(reader.read(65536), 10)
        return b""
    finally:
        writer.transport.abort()


async def answer_times(port: int, *, seconds: float) -> list[float]:
    """Ask for /api/v1/info ten times a second on new connections; seconds that each took.

    Raises:
        AssertionError: an answer was not 200.
    """
    request = b"GET /api/v1/info HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await reader.read(65536)
        writer.close()
        times.append(time.monotonic() - started)
        assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]
        await asyncio.sleep(0.1)
    return times
