"""The micro cache of nginx: which answers it keeps for a second, and which requests bypass it."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import requests

from tests.e2e.stack import Stack

CACHEABLE = ["/api/v1/stats", "/openapi.json"]


def edge_cache(stack: Stack, path: str, **headers: str) -> str | None:
    """How the cache took part in an answer; None when it has no say there."""
    answer = requests.get(f"{stack.http}{path}", headers=headers, timeout=5)
    assert answer.status_code == 200
    return answer.headers.get("X-Edge-Cache")


@pytest.mark.parametrize("path", CACHEABLE)
def test_many_requests_within_a_second_reach_the_service_once(stack: Stack, path: str) -> None:
    edge_cache(stack, path)

    with requests.Session() as client:
        answers = [client.get(f"{stack.http}{path}", timeout=5) for _ in range(50)]

    found = [answer.headers["X-Edge-Cache"] for answer in answers]
    assert set(found) <= {"HIT", "STALE", "UPDATING", "EXPIRED"}
    assert found.count("HIT") > 25, found
    assert len({answer.headers["X-Request-ID"] for answer in answers}) == 50


def test_concurrent_requests_for_a_missing_answer_share_one(stack: Stack) -> None:
    # Each query is a key of its own in the cache, so that none has been asked for before.
    for number in range(5):
        path = f"/api/v1/stats?together={number}-{time.time_ns()}"
        ready = Barrier(16)

        def ask(path: str = path, ready: Barrier = ready) -> tuple[str | None, float]:
            with requests.Session() as client:
                client.get(f"{stack.http}/health", timeout=5)  # connected before it counts
                ready.wait(timeout=10)
                started = time.monotonic()
                answer = client.get(f"{stack.http}{path}", timeout=5)
                assert answer.status_code == 200
                return answer.headers["X-Edge-Cache"], time.monotonic() - started

        with ThreadPoolExecutor(16) as pool:
            answers = [asked.result() for asked in [pool.submit(ask) for _ in range(16)]]

        # nginx's own rhythm would be 0.5 s; a busy machine may take a few times 0.05 s.
        assert max(seconds for _, seconds in answers) < 0.4, answers
        assert [how for how, _ in answers].count("HIT") > 8, answers


@pytest.mark.parametrize("path", CACHEABLE)
def test_concurrent_requests_for_an_answer_that_has_ended_reach_the_service_once(
    stack: Stack, path: str
) -> None:
    for _ in range(3):
        edge_cache(stack, path)
        time.sleep(3)  # it may be kept for one second, and used for one more
        ready = Barrier(64)

        def ask(ready: Barrier = ready) -> str:
            with requests.Session() as client:
                client.get(f"{stack.http}/static/icon.svg", timeout=5)  # connected before it counts
                ready.wait(timeout=10)
                return client.get(f"{stack.http}{path}", timeout=5).headers["X-Edge-Cache"]

        with ThreadPoolExecutor(64) as pool:
            found = [asked.result() for asked in [pool.submit(ask) for _ in range(64)]]

        # A miss waits for the first at most 50 ms, which a busy machine may exceed.
        assert found.count("EXPIRED") <= 1 and found.count("MISS") < 8, found


@pytest.mark.slow
def test_while_all_ask_for_it_a_change_shows_within_seconds(
    stack: Stack, api: requests.Session
) -> None:
    def items() -> int:
        # A new connection each time, so that every worker of nginx is asked.
        answer = requests.get(f"{stack.http}/api/v1/stats", timeout=5)
        assert answer.status_code == 200
        found: int = answer.json()["items"]
        return found

    for _ in range(3):
        before = items()
        made = api.post(f"{stack.http}/api/v1/items", json={"name": "counted"}, timeout=5)
        changed_at = time.monotonic()
        # A second in which it is kept, one in which it is renewed, and a margin.
        while time.monotonic() < changed_at + 2.5:
            items()
            time.sleep(0.005)  # one address may not send more than 500 requests a second

        assert made.status_code == 201
        assert {items() for _ in range(20)} == {before + 1}


@pytest.mark.parametrize(
    "header", [("Authorization", "Bearer x"), ("Cookie", "a=b"), ("Cache-Control", "no-cache")]
)
def test_a_token_a_cookie_and_no_cache_bypass_it(stack: Stack, header: tuple[str, str]) -> None:
    edge_cache(stack, "/api/v1/stats")

    assert edge_cache(stack, "/api/v1/stats", **dict([header])) == "BYPASS"


@pytest.mark.parametrize("path", ["/api/v1/items", "/api/v1/info", "/health", "/"])
def test_nothing_else_is_kept(stack: Stack, path: str) -> None:
    assert [edge_cache(stack, path) for _ in range(2)] == [None, None]
