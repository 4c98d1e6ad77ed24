"""A slow Redis: the time that a request waits in all is bounded."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest

from app.redis_client.client import RedisClient, RedisUnavailable
from tests.support.app_parts import make_redis, one_request
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import TcpProxy

BUDGET_SECONDS = 0.25


@pytest.fixture
def proxy(own_redis: RedisServer) -> Iterator[TcpProxy]:
    running = TcpProxy(own_redis.port)
    yield running
    running.close()


def five_requests(proxy: TcpProxy, delay: float, *, warm: bool = True) -> list[tuple[float, int]]:
    """Seconds and answers of a request with ten operations; each with a new client.

    Five, because one may meet a machine that stalls.
    """
    results = []
    for _ in range(5):
        url = f"redis://127.0.0.1:{proxy.port}/0"
        redis = make_redis(REDIS_URL=url, REDIS_TIMEOUT_MS="250")
        if warm:
            proxy.delay = 0.0
            wait_until(partial(answered, redis), why="there is a connection")
        proxy.delay = delay
        results.append(ten_operations(redis))
    return results


def answered(redis: RedisClient) -> bool:
    with suppress(RedisUnavailable):
        return redis.ping() > 0
    return False


def ten_operations(redis: RedisClient) -> tuple[float, int]:
    started = time.monotonic()
    with one_request():
        got = sum(answered(redis) for _ in range(10))
    return time.monotonic() - started, got


@pytest.mark.parametrize(
    ("delay", "warm"), [(0.03, True), (0.08, True), (0.12, True), (0.09, False)]
)
def test_slow_answers_add_up_to_the_budget_at_most(
    proxy: TcpProxy, delay: float, warm: bool
) -> None:
    results = five_requests(proxy, delay, warm=warm)
    assert min(seconds for seconds, _ in results) < BUDGET_SECONDS + 0.1
    assert not warm or any(0 < got < 10 for _, got in results)


def test_a_redis_that_is_a_little_slow_is_still_used(proxy: TcpProxy) -> None:
    assert 10 in [got for _, got in five_requests(proxy, 0.01)]


def test_a_dns_server_that_does_not_answer_counts_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, end = threading.Event(), threading.Event()

    def hang(*_arguments: object, **_options: object) -> None:
        asked.set()
        end.wait(20)
        raise socket.gaierror("no answer")

    redis = make_redis(REDIS_URL="redis://redis.example:6379/0", REDIS_TIMEOUT_MS="250")
    monkeypatch.setattr(socket, "getaddrinfo", hang)

    seconds, got = ten_operations(redis)
    end.set()

    assert asked.is_set() and got == 0
    assert seconds < 5
