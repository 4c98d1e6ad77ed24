"""Kept and new connections to one server, for a client that never sends a request twice."""

import asyncio
import json
import time
from typing import Any
from urllib.parse import urlsplit

# Shorter than nginx keeps an idle connection, so that it is the client who closes it.
IDLE_SECONDS = 10.0

Idle = tuple[asyncio.StreamReader, asyncio.StreamWriter, float]


class Connections:
    """Sends requests over HTTP/1.1; an idle connection is used again, the youngest first."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._token = token
        self._idle: list[Idle] = []

    async def exchange(
        self, method: str, path: str, body: dict[str, Any] | None, *, fresh: bool
    ) -> tuple[int, bytes]:
        """Send one request, once; returns the answer's status and body.

        Args:
            fresh: use a new connection and close it afterwards.

        Raises:
            OSError, EOFError: the connection broke.
            ValueError: what came is no HTTP.
        """
        reader, writer = await self._connection(fresh)
        payload = json.dumps(body).encode() if body is not None else b""
        head = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self._host}:{self._port}",
            f"Authorization: Bearer {self._token}",
            f"Content-Length: {len(payload)}",
            "Content-Type: application/json",
        ]
        try:
            writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + payload)
            status, headers = await _read_head(reader)
            answer = await reader.readexactly(int(headers.get("content-length", "0")))
        except BaseException:
            writer.close()
            raise
        if fresh or headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._idle.append((reader, writer, time.monotonic()))
        return status, answer

    def close(self) -> None:
        for _reader, writer, _since in self._idle:
            writer.close()

    async def _connection(self, fresh: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle and not fresh:
            reader, writer, since = self._idle.pop()
            # One that the server has closed meanwhile is not used, as with every HTTP client.
            if not reader.at_eof() and time.monotonic() - since < IDLE_SECONDS:
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.split(":", 1) for line in lines[1:] if ":" in line)
    return int(lines[0].split()[1]), {name.lower(): value.strip() for name, value in pairs}
