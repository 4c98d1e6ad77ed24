"""A steady, mixed load on a stack, and every request that failed.

Beside the constant rate over HTTP/1.1 there are clients that a reload or a restart of the proxy
hurts: HTTP/2 clients that post, one that is idle between its requests, one that reads slowly.
"""

import itertools
import json
import math
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, Self

import httpx
import requests

from tests.support.load import Answer, Load, Request, percentile, statuses

ANSWER_SECONDS = 10.0
# Enough for pages of all items right after the load.
SEARCH_SECONDS = 60.0
# Below what nginx allows one client (256).
CONNECTIONS = 150
KEYS = 50
HTTP2_CLIENTS = 6
DOWNLOAD = "/api/v1/cache/load-download"
DOWNLOAD_BYTES = 900_000  # more than nginx buffers


class Target(Protocol):
    """What is loaded: the stack, or a release on a cluster."""

    folder: Path

    @property
    def http(self) -> str: ...
    @property
    def https(self) -> str: ...
    @property
    def token(self) -> str: ...


class MixedLoad:
    """Usage: `with MixedLoad(stack) as mix: …`."""

    def __init__(
        self, stack: Target, *, rate: float = 200, repeats: bool = False, own_ports: bool = False
    ) -> None:
        """Args:
        rate: requests a second.
        own_ports: whether no two of its HTTP/1.1 connections have the same client port, as if they
            were of many clients. For two minutes a cluster's node remembers to which pod a port was
            connected, also if that pod is gone: kube-proxy makes it forget UDP alone.
        repeats: whether a write over HTTP/2 is sent again, under its Idempotency-Key, when the
            connection is ended. httpx drops the answers that may still come after a GOAWAY.
        """
        self.failures: list[str] = []
        """Requests without a 2xx within ANSWER_SECONDS, and when each was sent."""
        self.items: list[str] = []
        """IDs of the items whose creation was acknowledged."""
        self._url = stack.http
        self._headers = {
            "Authorization": f"Bearer {stack.token}",
            "Content-Type": "application/json",
        }
        self._keys: list[str] = []
        self._others = OtherClients(stack, self._headers, self.failures, self.items, repeats)
        self._load = Load(
            stack.http,
            self._requests(),
            connections=CONNECTIONS,
            rate=rate,
            seconds=math.inf,
            timeout=ANSWER_SECONDS,
            new_connection_every=5,
            own_ports=own_ports,
            on_answer=self._note,
        )

    def __enter__(self) -> Self:
        self._others.start()
        self._load.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._others.stop()
        self._load.stop()

    @property
    def failures_not_of_redis(self) -> list[str]:
        """Those that are no answer of a service that has to do without Redis."""
        return [each for each in self.failures if ": 503 " not in each and "degraded" not in each]

    @property
    def sent(self) -> int:
        """The requests that were answered, or failed."""
        return len(self._load.answers) + self._others.http2_requests

    def summary(self) -> dict[str, Any]:
        answers = self._load.answers
        return {
            "requests": len(answers),
            "http2_requests": self._others.http2_requests,
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
            what = f"{request.method} {request.path}: {answer.status} {body[:200]!r}"
            self.failures.append(f"{_clock(time.time() - answer.seconds)} {what}")
        elif request.method == "POST":
            self.items.append(json.loads(body)["id"])
        elif request.method == "PUT" and request.path not in self._keys:
            self._keys.append(request.path)


class OtherClients:  # pylint: disable=too-many-instance-attributes
    """Each on a connection of its own; what fails and what is created goes into the given lists."""

    def __init__(
        self,
        stack: Target,
        headers: dict[str, str],
        failures: list[str],
        items: list[str],
        repeats: bool,
    ) -> None:
        self.http2_requests = 0
        self._stack, self._headers = stack, headers
        self._failures, self._items, self._repeats = failures, items, repeats
        self._ended = threading.Event()
        clients = [*[self._post_over_http2] * HTTP2_CLIENTS, self._pause_between, self._read_slowly]
        self._threads = [threading.Thread(target=self._repeat, args=(one,)) for one in clients]

    def start(self) -> None:
        put = requests.put(
            self._stack.http + DOWNLOAD,
            data=json.dumps("x" * DOWNLOAD_BYTES),
            headers=self._headers,
            timeout=ANSWER_SECONDS,
        )
        assert put.ok, put.text
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, client: Callable[[requests.Session, httpx.Client], None]) -> None:
        """A client with a connection of its own, until the load ends; an error is a failure."""
        ssl_context = ssl.create_default_context(
            cafile=str(self._stack.folder / "certs" / "tls.crt")
        )
        with (
            requests.Session() as session,
            httpx.Client(http2=True, verify=ssl_context, timeout=ANSWER_SECONDS) as http2,
        ):
            while not self._ended.is_set():
                sent = time.time()
                try:
                    client(session, http2)
                except (requests.RequestException, httpx.HTTPError, AssertionError) as error:
                    what = str(error) if isinstance(error, AssertionError) else repr(error)
                    self._failures.append(f"{_clock(sent)} {what}")

    def _post_over_http2(self, _session: requests.Session, client: httpx.Client) -> None:
        url = f"{self._stack.https}/api/v1/items"
        headers = self._headers | {"Idempotency-Key": uuid.uuid4().hex}
        try:
            answer = client.post(url, json={"name": "over HTTP/2"}, headers=headers)
        except httpx.RemoteProtocolError:
            if not self._repeats:
                raise
            answer = client.post(url, json={"name": "over HTTP/2"}, headers=headers)
        assert answer.status_code == 201, f"POST /api/v1/items: {answer.status_code} {answer.text}"
        assert answer.http_version == "HTTP/2"
        self._items.append(answer.json()["id"])
        self.http2_requests += 1
        self._ended.wait(0.1)

    def _pause_between(self, session: requests.Session, _client: httpx.Client) -> None:
        answer = session.get(f"{self._stack.http}/api/v1/info", timeout=ANSWER_SECONDS)
        assert answer.ok, f"GET /api/v1/info: {answer.status_code} {answer.text}"
        self._ended.wait(3)

    def _read_slowly(self, session: requests.Session, _client: httpx.Client) -> None:
        plain = {"Accept-Encoding": "identity"}
        url = self._stack.http + DOWNLOAD
        answer = session.get(url, headers=plain, timeout=ANSWER_SECONDS, stream=True)
        read = 0
        for part in answer.iter_content(64_000):
            read += len(part)
            self._ended.wait(0.2)
        assert answer.ok, f"GET {DOWNLOAD}: {answer.status_code} {read} bytes"
        assert read > DOWNLOAD_BYTES, f"GET {DOWNLOAD}: only {read} bytes"


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def _existing(paths: list[str], number: int) -> str:
    """One of these paths; at first there are none."""
    return paths[number % len(paths)] if paths else "/api/v1/info"
