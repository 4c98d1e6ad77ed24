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
            wait_until(partial(answers, redis), seconds=20, why="there is a connection")
        proxy.delay = delay
        results.append(ten_operations(redis))
    return results


def answers(redis: RedisClient) -> bool:
    with suppress(RedisUnavailable):
        redis.ping()
        return True
    return False


def ten_operations(redis: RedisClient) -> tuple[float, int]:
    got = 0
    started = time.monotonic()
    with one_request():
        for _ in range(10):
            try:
                redis.ping()
                got += 1
            except RedisUnavailable:
                continue
    return time.monotonic() - started, got


@pytest.mark.parametrize("delay", [0.03, 0.08, 0.12])
def test_slow_answers_add_up_to_the_budget_at_most(proxy: TcpProxy, delay: float) -> None:
    results = five_requests(proxy, delay)

    assert min(seconds for seconds, _ in results) < BUDGET_SECONDS + 0.1
    assert any(0 < got < 10 for _, got in results)


def test_a_new_connection_to_a_slow_redis_counts_as_well(proxy: TcpProxy) -> None:
    results = five_requests(proxy, 0.09, warm=False)

    assert min(seconds for seconds, _ in results) < BUDGET_SECONDS + 0.1


def test_a_redis_that_is_a_little_slow_is_still_used(proxy: TcpProxy) -> None:
    assert 10 in [got for _, got in five_requests(proxy, 0.01)]


def test_a_dns_server_that_does_not_answer_counts_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()
    answered = threading.Event()

    def hang(*_arguments: object, **_options: object) -> None:
        asked.set()
        answered.wait(20)
        raise socket.gaierror("no answer")

    redis = make_redis(REDIS_URL="redis://redis.example:6379/0", REDIS_TIMEOUT_MS="250")
    monkeypatch.setattr(socket, "getaddrinfo", hang)

    seconds, got = ten_operations(redis)
    answered.set()

    assert asked.is_set() and got == 0
    assert seconds < 5
