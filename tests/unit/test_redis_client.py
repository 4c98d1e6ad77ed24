"""The Redis client: what it raises and logs when, its circuit, and how long a request may wait."""

import logging
import time

import pytest
from redis import Redis
from redis.exceptions import DataError, OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.redis_client import trouble
from app.redis_client.circuit_breaker import CircuitBreaker, State
from app.redis_client.client import RedisClient, RedisFull, RedisRefused, RedisUnavailable
from app.redis_client.trouble import Trouble
from tests.support.app_parts import Clock, make_redis, nowhere, one_request


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


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(threshold=3, open_seconds=1.0, clock=clock)


@pytest.fixture
def half_open(breaker: CircuitBreaker, clock: Clock) -> CircuitBreaker:
    fail(breaker, 3)
    clock.now += 1.0
    assert breaker.allow()
    return breaker


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.failure(breaker.now())


def state(breaker: CircuitBreaker) -> State:
    return breaker.state


def test_it_lets_callers_through_until_the_third_failure_in_a_row(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    breaker.success()  # the count starts anew
    fail(breaker, 2)
    assert breaker.allow() and state(breaker) is State.CLOSED
    fail(breaker, 1)
    assert not breaker.allow() and state(breaker) is State.OPEN


def test_concurrent_failures_count_as_one(breaker: CircuitBreaker, clock: Clock) -> None:
    began = breaker.now()
    for _ in range(8):
        clock.now += 0.1
        breaker.failure(began)
    assert state(breaker) is State.CLOSED

    fail(breaker, 2)
    assert state(breaker) is State.OPEN


def test_after_its_time_one_caller_may_try_and_close_it(half_open: CircuitBreaker) -> None:
    assert not half_open.allow() and state(half_open) is State.HALF_OPEN
    half_open.success()
    assert half_open.allow() and state(half_open) is State.CLOSED


def test_it_opens_again_when_the_trial_fails(half_open: CircuitBreaker, clock: Clock) -> None:
    half_open.failure(half_open.now())
    clock.now += 0.9
    assert not half_open.allow() and state(half_open) is State.OPEN


def test_a_trial_that_never_reports_is_forgotten(half_open: CircuitBreaker, clock: Clock) -> None:
    clock.now += 1.0
    assert half_open.allow()


def test_each_new_state_is_reported_once(clock: Clock) -> None:
    states: list[State] = []
    breaker = CircuitBreaker(threshold=1, open_seconds=1.0, on_change=states.append, clock=clock)

    breaker.failure(breaker.now())
    breaker.failure(breaker.now())
    clock.now += 1.0
    breaker.allow()
    breaker.success()
    breaker.success()

    assert states == [State.OPEN, State.HALF_OPEN, State.CLOSED]


FULL = "command not allowed when used memory > 'maxmemory'."


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_a_cause_is_named_once_whatever_the_command(caplog: pytest.LogCaptureFixture) -> None:
    seen = Trouble()
    for text in (
        FULL,
        f"Command # 2 (SET ds:fault s3cret) of pipeline caused error: {FULL}",
        f"{FULL} script: 5d41402a, on @user_script:3.",
    ):
        seen.refused(OutOfMemoryError(text, status_code="OOM"))

    assert caplog.messages == [f"Redis refuses commands: OOM: {FULL}"]
    assert seen.refusal == "OOM"


def test_what_a_command_contained_is_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    Trouble().failed(
        ResponseError("unknown command `AUTH`, with args beginning with: `app` `s3cret`")
    )
    assert caplog.messages == ["Redis is unavailable: unknown command `AUTH`"]


def test_a_cause_is_named_again_after_redis_has_served(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Trouble()
    seen.refused(ReadOnlyError("no", status_code="READONLY"))
    seen.wrote()
    assert seen.refusal == "READONLY"  # others may still be refused

    monkeypatch.setattr(trouble, "SETTLED_SECONDS", 0.0)
    seen.wrote()
    seen.refused(ReadOnlyError("no", status_code="READONLY"))

    refused = "Redis refuses commands: READONLY: no"
    assert caplog.messages == [refused, "Redis serves again.", refused]


def test_a_circuit_is_logged_at_each_change_once(caplog: pytest.LogCaptureFixture) -> None:
    seen = Trouble()
    attempts = [State.OPEN, State.HALF_OPEN] * 3
    for state in [State.CLOSED, *attempts, State.CLOSED, State.OPEN]:
        seen.circuit_changed("the cache", state, "TimeoutError while GET: no answer")

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "The circuit to Redis for the cache is open"),
        ("INFO", "The circuit to Redis for the cache is half-open"),
        ("INFO", "The circuit to Redis for the cache is closed"),
        ("WARNING", "The circuit to Redis for the cache is open"),
    ]
    opened = caplog.records[0]
    assert getattr(opened, "exception") == "TimeoutError while GET: no answer"
