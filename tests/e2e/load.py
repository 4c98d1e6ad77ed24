"""A steady, mixed load on the service, and a report that lists every failed request.

    python -m tests.e2e.load http://127.0.0.1:8080 --token-file infrastructure/secrets/api_token

The requests of tests/support/load.py at a constant rate, each fifth over a connection of its own.
A broken connection, an unexpected status or no answer within the limit is a failure. At the end,
every item whose creation was acknowledged is looked up.
"""

import argparse
import asyncio
import http.client
import itertools
import json
import math
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

from tests.support import load

ANSWER_SECONDS = 10.0
LOOK_SECONDS = 60.0
NEW_CONNECTION_EVERY = 5
# Below what nginx allows one client (256).
CONNECTIONS = 200
KEYS = 50


@dataclass
class Report:
    """The results of the requests."""

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
    """Sends the mix until the end of its `async with` block, or for the seconds given to `run`."""

    def __init__(self, url: str, token: str, *, rate: float = 200) -> None:
        """Args:
        url: where the service answers, `http://host:port`.
        token: one of API_TOKENS.
        rate: requests a second.
        """
        self.report = Report()
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._keys: list[str] = []
        self._load = load.Load(
            url,
            self._mix(),
            connections=CONNECTIONS,
            rate=rate,
            seconds=math.inf,
            timeout=ANSWER_SECONDS,
            new_connection_every=NEW_CONNECTION_EVERY,
            on_answer=self._note,
        )

    async def run(self, seconds: float) -> Report:
        async with self:
            await asyncio.sleep(seconds)
        return self.report

    async def __aenter__(self) -> "Load":
        self._load.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await asyncio.to_thread(self._load.stop)

    def _mix(self) -> Iterator[load.Request]:
        """Five reads, two POSTs and one PUT in turn."""
        for number in itertools.count():
            yield self._request("PUT", f"/api/v1/cache/load-{number % KEYS}", {"number": number})
            yield self._request("GET", self._known(self._keys, number))
            yield self._request("POST", "/api/v1/items", {"name": f"load {number}"})
            yield self._request("GET", "/api/v1/items?limit=10")
            yield self._request("GET", "/api/v1/info")
            yield self._request("POST", "/api/v1/items", {"name": f"more load {number}"})
            recent = [f"/api/v1/items/{item}" for item in self.report.items[-KEYS:]]
            yield self._request("GET", self._known(recent, number))
            yield self._request("GET", "/health")

    def _request(self, method: str, path: str, body: object = None) -> load.Request:
        payload = None if body is None else json.dumps(body).encode()
        return load.Request(method, path, payload, self._headers)

    def _known(self, paths: list[str], number: int) -> str:
        """One of these paths, which are known to exist; at first there are none."""
        return paths[number % len(paths)] if paths else "/api/v1/info"

    def _note(self, request: load.Request, answer: load.Answer, body: bytes) -> None:
        self.report.seconds.append(answer.seconds)
        self.report.statuses[f"{request.method} {answer.status}"] += 1
        if not 200 <= answer.status < 300:
            when = time.strftime("%H:%M:%S")
            self.report.failures.append(
                f"{when} {request.method} {request.path}: {answer.status} {body[:200]!r}"
            )
        elif request.method == "POST":
            self.report.items.append(json.loads(body)["id"])
        elif request.method == "PUT" and request.path not in self._keys:
            self._keys.append(request.path)


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


async def run_until_told(mix: Load, seconds: float | None) -> None:
    """Send requests for so long, or until SIGINT or SIGTERM."""
    enough = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, enough.set)
    async with mix:
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
    mix = Load(arguments.url, token, rate=arguments.rate)
    asyncio.run(run_until_told(mix, arguments.seconds))
    lost = lost_items(arguments.url, token, mix.report.items)
    summary = mix.report.summary() | {
        "items_acknowledged": len(mix.report.items),
        "items_lost": len(lost),
    }
    print(json.dumps(summary, indent=2))
    return 1 if mix.report.failures or lost else 0


if __name__ == "__main__":
    sys.exit(main())
