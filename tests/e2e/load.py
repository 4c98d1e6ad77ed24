"""A steady, mixed load on a stack, and every request that failed."""

import itertools
import json
import math
import time
from collections.abc import Iterator
from typing import Any, Self

import requests

from tests.e2e.stack import Stack
from tests.support.load import Answer, Load, Request, percentile, statuses

ANSWER_SECONDS = 10.0
# Enough for pages of all items right after the load.
SEARCH_SECONDS = 60.0
# Below what nginx allows one client (256).
CONNECTIONS = 200
KEYS = 50


class MixedLoad:
    """Usage: `with MixedLoad(stack) as mix: …`. Every fifth request has a connection of its own."""

    def __init__(self, stack: Stack, *, rate: float = 200) -> None:
        """`rate` is in requests a second."""
        self.failures: list[str] = []
        """The requests that were not answered with 2xx within ANSWER_SECONDS."""
        self.items: list[str] = []
        """IDs of the items whose creation was acknowledged."""
        self._url = stack.http
        self._headers = {
            "Authorization": f"Bearer {stack.token}",
            "Content-Type": "application/json",
        }
        self._keys: list[str] = []
        self._load = Load(
            stack.http,
            self._requests(),
            connections=CONNECTIONS,
            rate=rate,
            seconds=math.inf,
            timeout=ANSWER_SECONDS,
            new_connection_every=5,
            on_answer=self._note,
        )

    def __enter__(self) -> Self:
        self._load.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._load.stop()

    def summary(self) -> dict[str, Any]:
        answers = self._load.answers
        return {
            "requests": len(answers),
            "failed": len(self.failures),
            "statuses": dict(statuses(answers)),
            **{f"p{p}_ms": round(1000 * percentile(answers, p), 1) for p in (50, 99, 100)},
            "failures": self.failures[:20],
        }

    def lost_items(self) -> set[str]:
        """The acknowledged items that are not in the service's list."""
        lost, cursor = set(self.items), ""
        deadline = time.monotonic() + SEARCH_SECONDS
        with requests.Session() as client:
            client.headers.update(self._headers | {"Cache-Control": "no-cache"})
            while lost:
                answer = client.get(f"{self._url}/api/v1/items?limit=100{cursor}", timeout=30)
                if not answer.ok and time.monotonic() < deadline:
                    time.sleep(0.2)  # too busy after the load: ask again
                    continue
                page = answer.json()
                lost -= {item["id"] for item in page["items"]}
                if not page["next_cursor"]:
                    break
                cursor = f"&cursor={page['next_cursor']}"
        return lost

    def _requests(self) -> Iterator[Request]:
        """Five reads, two POSTs and one PUT in turn."""
        for number in itertools.count():
            yield self._request("PUT", f"/api/v1/cache/load-{number % KEYS}", {"number": number})
            yield self._request("GET", _existing(self._keys, number))
            yield self._request("POST", "/api/v1/items", {"name": f"load {number}"})
            yield self._request("GET", "/api/v1/items?limit=10")
            yield self._request("GET", "/api/v1/info")
            yield self._request("POST", "/api/v1/items", {"name": f"more load {number}"})
            recent = [f"/api/v1/items/{item}" for item in self.items[-KEYS:]]
            yield self._request("GET", _existing(recent, number))
            yield self._request("GET", "/health")

    def _request(self, method: str, path: str, body: object = None) -> Request:
        payload = None if body is None else json.dumps(body).encode()
        return Request(method, path, payload, self._headers)

    def _note(self, request: Request, answer: Answer, body: bytes) -> None:
        if not 200 <= answer.status < 300:
            when = time.strftime("%H:%M:%S")
            self.failures.append(
                f"{when} {request.method} {request.path}: {answer.status} {body[:200]!r}"
            )
        elif request.method == "POST":
            self.items.append(json.loads(body)["id"])
        elif request.method == "PUT" and request.path not in self._keys:
            self._keys.append(request.path)


def _existing(paths: list[str], number: int) -> str:
    """One of these paths; at first there are none."""
    return paths[number % len(paths)] if paths else "/api/v1/info"
