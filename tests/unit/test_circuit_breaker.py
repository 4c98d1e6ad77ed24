"""The circuit breaker, on a clock that the tests move."""

import pytest

from app.redis_client.circuit_breaker import CircuitBreaker, State
from tests.support.app_parts import Clock


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
