"""`helm test`: what a release promises, asked from a pod beside it: URL TEST..."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import Any

URL, *TESTS = sys.argv[1:]
GIVE_UP_AT = time.monotonic() + 30
TOKEN = Path("/secret/api_token").read_text(encoding="utf-8").strip()


def call(method: str, path: str, body: object = None, cookie: str = "") -> tuple[int, Any, Message]:
    """Status, JSON body and headers of the answer; an error is raised."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    if "HOST" in os.environ:  # one of TRUSTED_HOSTS: a Service's name is none
        headers["Host"] = os.environ["HOST"]
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(URL + path, data, headers | {"Cookie": cookie}, method=method)
    with connected(request) as answer:
        return answer.status, json.loads(answer.read() or b"null"), answer.headers


def connected(request: urllib.request.Request) -> Any:
    """The answer. A name server may give the addresses of former pods for some seconds."""
    while True:
        try:
            return urllib.request.urlopen(request, timeout=5)  # nosec B310
        except urllib.error.URLError as error:
            if isinstance(error, urllib.error.HTTPError) or time.monotonic() > GIVE_UP_AT:
                raise
            time.sleep(1)


def reached() -> None:
    assert call("GET", "/health")[1]["status"] == "healthy"


def item() -> None:
    status, stored, sent = call("POST", "/api/v1/items", {"name": "helm test"})
    assert status == 201
    assert call("GET", sent["Location"])[1] == stored
    assert call("DELETE", sent["Location"])[0] == 204


def cache() -> None:
    assert call("PUT", "/api/v1/cache/helm-test?ttl=60", {"a": 1})[0] in (200, 201)
    assert call("GET", "/api/v1/cache/helm-test")[1] == {"a": 1}


def session() -> None:
    started = call("PUT", "/api/v1/session", {"data": {"a": 1}})[2]["Set-Cookie"].partition(";")[0]
    assert call("GET", "/api/v1/session", cookie=started)[1]["data"] == {"a": 1}


def metrics() -> None:
    with connected(urllib.request.Request(f"{URL}/metrics")) as scrape:
        assert b"http_requests_total{" in scrape.read()


for test in TESTS:
    globals()[test]()
