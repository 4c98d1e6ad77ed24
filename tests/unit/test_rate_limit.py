"""The limit on requests per client, on a clock that the tests move."""

import pytest

from app.http.rate_limit import RateLimit
from app.redis_client.client import RedisClient
from tests.support.app_parts import Clock, seconds_left


@pytest.fixture
def clock() -> Clock:
    return Clock(600.0)  # the start of a minute


@pytest.fixture
def limit(redis: RedisClient, clock: Clock) -> RateLimit:
    return RateLimit(redis, "3/minute", clock)


def test_a_client_waits_for_the_next_window(limit: RateLimit, clock: Clock) -> None:
    assert [limit.exceeded("client") for _ in range(4)] == [0, 0, 0, 60]
    waits = []
    for elapsed in (45, 59.99, 60):
        clock.now = 600 + elapsed
        waits.append(limit.exceeded("client"))
    assert waits == [15, 1, 0]


@pytest.mark.parametrize(
    ("others", "wait"),
    [(["2001:db8::2", "2001:DB8:0:0:ffff::1"], 60), (["2001:db8:0:1::1", "::ffff:192.0.2.1"], 0)],
)
def test_an_ipv6_client_is_its_64_bits(limit: RateLimit, others: list[str], wait: int) -> None:
    for client in ("2001:db8::1", *others):
        limit.exceeded(client)
    assert limit.exceeded("2001:db8::1") == wait


def test_all_instances_count_together(limit: RateLimit, redis: RedisClient, clock: Clock) -> None:
    instances = [limit, RateLimit(redis, "3/minute", clock)] * 2
    assert [each.exceeded("client") for each in instances] == [0, 0, 0, 60]


def test_redis_holds_no_address_and_counters_expire(limit: RateLimit, redis: RedisClient) -> None:
    limit.exceeded("192.0.2.7")
    ((key, seconds),) = seconds_left(redis).items()
    assert b"192.0.2.7" not in key
    assert 0 < seconds <= 61


def test_without_redis_no_request_is_refused(unavailable: RedisClient) -> None:
    limit = RateLimit(unavailable, "1/day")
    assert [limit.exceeded("client") for _ in range(3)] == [0, 0, 0]
