"""The Redis client: what it raises when, and how long one request may wait."""

import time

import pytest
from redis import Redis
from redis.exceptions import DataError, OutOfMemoryError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.redis_client.circuit_breaker import State
from app.redis_client.client import RedisClient, RedisFull, RedisRefused, RedisUnavailable
from tests.support.app_parts import make_redis, nowhere, one_request


def failing(error: Exception, redis: RedisClient) -> None:
    def operation(client: Redis) -> None:
        raise error

    redis.run(operation)


def test_after_three_failures_redis_is_not_asked(unavailable: RedisClient) -> None:
    for _ in range(3):
        with pytest.raises(RedisUnavailable) as caught:
            unavailable.ping()
        assert caught.value.tried

    with pytest.raises(RedisUnavailable, match="circuit.*ConnectionError while PING") as caught:
        unavailable.ping()

    assert not caught.value.tried
    assert unavailable.breaker.state is State.OPEN


def test_a_request_that_has_met_one_failure_does_not_wait_again(unavailable: RedisClient) -> None:
    with one_request():
        with pytest.raises(RedisUnavailable):
            unavailable.ping()
        with pytest.raises(RedisUnavailable, match="budget") as caught:
            unavailable.ping()
    assert not caught.value.tried


def test_the_next_request_has_its_own_budget(redis: RedisClient) -> None:
    with one_request():
        with pytest.raises(RedisUnavailable):
            failing(RedisTimeoutError("slow"), redis)
    with one_request():
        assert redis.ping() > 0


@pytest.mark.parametrize("url", ["memory://", ""])
def test_slow_answers_use_up_the_budget_but_not_those_of_the_embedded_store(url: str) -> None:
    redis = make_redis(REDIS_URL=url or nowhere(), REDIS_TIMEOUT_MS="20")

    with one_request():
        redis.run(lambda _: time.sleep(0.03))

        if url:
            assert redis.ping() > 0
        else:
            with pytest.raises(RedisUnavailable, match="budget"):
                redis.ping()


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), RedisFull),
        (ResponseError("OOM command not allowed when used memory > 'maxmemory'."), RedisFull),
        (ResponseError("MISCONF Redis is configured to save RDB snapshots"), RedisFull),
        (ResponseError("WRONGTYPE"), RedisRefused),
        (ResponseError("NOPERM"), RedisRefused),
        (ZeroDivisionError(), ZeroDivisionError),
        (DataError("not a text"), DataError),
    ],
)
def test_an_answer_or_an_error_of_the_caller_does_not_open_the_circuit(
    error: Exception, raised: type[Exception], redis: RedisClient
) -> None:
    for _ in range(5):
        with pytest.raises(raised):
            failing(error, redis)
    assert redis.breaker.state is State.CLOSED


def test_connections_do_not_run_out_after_many_reconnects(unavailable: RedisClient) -> None:
    def reconnect(client: Redis) -> None:
        for _ in range(1000):
            client.connection_pool.make_connection()

    unavailable.run(reconnect)
