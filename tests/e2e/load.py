"""A steady, mixed load on the service, and a report in which every failed request stands.

    python -m tests.e2e.load http://127.0.0.1:8080 --token-file infrastructure/secrets/api_token

Requests are due at a constant rate, whatever the answers do, and times count from the moment a
request was due, also when it had to wait for one of at most 200 connections. Most use kept-alive
connections, the others a new one each. A request is sent once: a connection that breaks, an
unexpected status or no answer within the limit is a failure. At the end every item whose creation
was acknowledged is looked for.
"""

import argparse
import asyncio
import http.client
import itertools
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.connections import Connections

ANSWER_SECONDS = 10.0
LOOK_SECONDS = 60.0
NEW_CONNECTION_EVERY = 5
# Below what nginx allows one client (256).
CONNECTIONS = 200
KEYS = 50


@dataclass
class Report:
    """What came of the requests."""

    seconds: list[float] = field(default_factory=list)
    """How long each answer took, failures included."""
    statuses: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    """IDs of the items whose creation was acknowledged."""

    def percentile(self, share: float) -> float:
        """Seconds within which this share (0 to 1) of the requests was answered."""
        ordered = sorted(self.seconds) or [0.0]
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def summary(self) -> dict[str, Any]:
        return {
            "requests": len(self.seconds),
            "failed": len(self.failures),
            "statuses": dict(sorted(self.statuses.items())),
            "p50_ms": round(1000 * self.percentile(0.50), 1),
            "p99_ms": round(1000 * self.percentile(0.99), 1),
            "slowest_ms": round(1000 * self.percentile(1), 1),
            "failures": self.failures[:20],
        }


class Load:
    """Sends requests until `stop`; use it as an asynchronous context manager, or `run`."""

    def __init__(self, url: str, token: str, *, rate: float = 200) -> None:
        """Args:
        url: where the service answers, `http://host:port`.
        token: one of API_TOKENS.
        rate: requests a second.
        """
        self._connections = Connections(url, token)
        self._rate = rate
        self._keys: list[str] = []
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self.report = Report()

    async def run(self, seconds: float) -> Report:
        async with self:
            await asyncio.sleep(seconds)
        return self.report

    async def __aenter__(self) -> "Load":
        self._running = asyncio.create_task(self._send_all())
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._stopping.set()
        assert self._running
        await self._running

    async def _send_all(self) -> None:
        pending: set[asyncio.Task[None]] = set()
        started = time.monotonic()
        for number, request in enumerate(self._mix()):
            due = started + number / self._rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self._stopping.is_set():
                break
            task = asyncio.create_task(self._one(number, due, *request))
            pending.add(task)
            task.add_done_callback(pending.discard)
        await asyncio.gather(*pending)
        self._connections.close()

    def _mix(self) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
        """Method, path and body of each request: five reads, two POSTs and one PUT in turn."""
        for number in itertools.count():
            yield "PUT", f"/api/v1/cache/load-{number % KEYS}", {"number": number}
            yield "GET", self._known(self._keys, number), None
            yield "POST", "/api/v1/items", {"name": f"load {number}"}
            yield "GET", "/api/v1/items?limit=10", None
            yield "GET", "/api/v1/info", None
            yield "POST", "/api/v1/items", {"name": f"more load {number}"}
            recent = [f"/api/v1/items/{item}" for item in self.report.items[-KEYS:]]
            yield "GET", self._known(recent, number), None
            yield "GET", "/health", None

    def _known(self, paths: list[str], number: int) -> str:
        """One of these paths, which are known to exist; there are none at the very beginning."""
        return paths[number % len(paths)] if paths else "/api/v1/info"

    async def _one(
        self, number: int, due: float, method: str, path: str, body: dict[str, Any] | None
    ) -> None:
        try:
            async with self._free, asyncio.timeout(ANSWER_SECONDS):
                fresh = number % NEW_CONNECTION_EVERY == 0
                status, answer = await self._connections.exchange(method, path, body, fresh=fresh)
        except (OSError, EOFError, ValueError) as error:
            status, answer = 0, repr(error).encode()
        self.report.seconds.append(time.monotonic() - due)
        self.report.statuses[f"{method} {status}"] += 1
        if not 200 <= status < 300:
            when = time.strftime("%H:%M:%S")
            self.report.failures.append(f"{when} {method} {path}: {status} {answer[:200]!r}")
        elif method == "POST":
            self.report.items.append(json.loads(answer)["id"])
        elif method == "PUT" and path not in self._keys:
            self._keys.append(path)


def lost_items(url: str, token: str, acknowledged: Iterable[str]) -> set[str]:
    """Those of these items that the service does not have any more, by going through all it has."""
    missing, cursor = set(acknowledged), ""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Cache-Control": "no-cache"}
    deadline = time.monotonic() + LOOK_SECONDS
    while missing:
        connection.request("GET", f"/api/v1/items?limit=100{cursor}", headers=headers)
        answer = connection.getresponse()
        page = json.loads(answer.read())
        if answer.status != 200 and time.monotonic() < deadline:
            time.sleep(0.2)  # too busy after all that load, and asked again
            continue
        missing -= {item["id"] for item in page["items"]}
        if not page["next_cursor"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    connection.close()
    return missing


async def run_until_told(load: Load, seconds: float | None) -> None:
    """Send requests for so long, or until SIGINT or SIGTERM."""
    enough = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, enough.set)
    async with load:
        with suppress(TimeoutError):
            await asyncio.wait_for(enough.wait(), seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("url", help="where the service answers, e.g. http://127.0.0.1:8080")
    parser.add_argument("--token-file", type=Path, required=True, help="file with an API token")
    parser.add_argument("--rate", type=float, default=200, help="requests a second (200)")
    parser.add_argument("--seconds", type=float, help="how long; without it until Ctrl-C")
    arguments = parser.parse_args()
    token = arguments.token_file.read_text().strip()
    load = Load(arguments.url, token, rate=arguments.rate)
    asyncio.run(run_until_told(load, arguments.seconds))
    lost = lost_items(arguments.url, token, load.report.items)
    summary = load.report.summary() | {
        "items_acknowledged": len(load.report.items),
        "items_lost": len(lost),
    }
    print(json.dumps(summary, indent=2))
    return 1 if load.report.failures or lost else 0


if __name__ == "__main__":
    sys.exit(main())
