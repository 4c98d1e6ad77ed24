"""The way to Redis: what is raised when, and how long one request may wait."""

import time

import pytest
from redis.exceptions import OutOfMemoryError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.utils.circuit import State
from app.utils.store import Client, Store, StoreFull, StoreUnavailable
from tests.unit.conftest import make_settings, nowhere
from tests.support.one_request import one_request


def failing(error: Exception, store: Store) -> None:
    """Run an operation that ends like this."""

    def operation(client: Client) -> None:
        raise error

    store.run(operation)


def test_an_operation_reaches_the_client_and_its_result_comes_back(store: Store) -> None:
    store.run(lambda redis: redis.set("key", b"value"))

    assert store.run(lambda redis: redis.get("key")) == b"value"


def test_keys_stand_under_the_services_prefix() -> None:
    store = Store(make_settings(REDIS_KEY_PREFIX="mine:"))

    assert store.key("cache", "a") == "mine:cache:a"


def test_each_embedded_store_is_its_own() -> None:
    first, second = Store(make_settings()), Store(make_settings())

    first.run(lambda redis: redis.set("key", b"value"))

    assert second.run(lambda redis: redis.get("key")) is None


def test_ping_tells_the_milliseconds_it_took(store: Store) -> None:
    assert 0 < store.ping() < 1000


def test_a_redis_that_is_not_there_is_unavailable_and_was_tried(away: Store) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        away.ping()

    assert caught.value.tried


def test_after_three_failures_the_circuit_opens_and_nobody_tries(away: Store) -> None:
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            away.ping()

    with pytest.raises(StoreUnavailable, match="circuit") as caught:
        away.ping()

    assert not caught.value.tried
    assert away.breaker.state is State.OPEN


def test_a_request_that_has_met_one_failure_is_not_let_near_redis_again(away: Store) -> None:
    with one_request():
        with pytest.raises(StoreUnavailable):
            away.ping()

        with pytest.raises(StoreUnavailable, match="long enough") as caught:
            away.ping()

    assert not caught.value.tried


def test_the_next_request_has_its_own_patience(store: Store) -> None:
    with one_request():
        with pytest.raises(StoreUnavailable):
            failing(RedisTimeoutError("slow"), store)

    with one_request():
        assert store.ping() > 0


def test_an_embedded_store_costs_no_patience() -> None:
    store = Store(make_settings(REDIS_TIMEOUT_MS="20"))

    with one_request():
        store.run(lambda redis: time.sleep(0.03))

        assert store.ping() > 0


def test_a_request_that_has_lost_its_time_to_slow_answers_gives_up() -> None:
    store = Store(make_settings(REDIS_URL=nowhere(), REDIS_TIMEOUT_MS="20"))

    with one_request():
        store.run(lambda redis: time.sleep(0.03))

        with pytest.raises(StoreUnavailable, match="long enough"):
            store.ping()


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        ResponseError("OOM command not allowed when used memory > 'maxmemory'."),
        ResponseError("MISCONF Redis is configured to save RDB snapshots"),
    ],
)
def test_a_redis_that_refuses_writes_is_full_not_away(error: Exception, store: Store) -> None:
    with pytest.raises(StoreFull):
        failing(error, store)

    assert store.breaker.state is State.CLOSED


@pytest.mark.parametrize("error", [ResponseError("WRONGTYPE"), ZeroDivisionError()])
def test_an_error_of_the_caller_is_passed_on_and_is_no_failure_of_redis(
    error: Exception, store: Store
) -> None:
    for _ in range(5):
        with pytest.raises(type(error)):
            failing(error, store)

    assert store.breaker.state is State.CLOSED


def test_a_script_runs_as_one_step_and_can_be_called_again(store: Store) -> None:
    script = store.script("return redis.call('INCRBY', KEYS[1], ARGV[1])")

    first, second = script(["number"], [2]), script(["number"], [3])

    assert (first, second) == (2, 5)


def test_a_closed_store_can_be_used_again(store: Store) -> None:
    store.close()

    assert store.ping() > 0


def test_connections_do_not_run_out_however_many_threads_there_are_and_were(away: Store) -> None:
    def reconnect(client: Client) -> None:
        for _ in range(1000):
            client.connection_pool.make_connection()

    away.run(reconnect)


def test_credentials_are_taken_from_the_settings() -> None:
    store = Store(make_settings(REDIS_URL=nowhere(), REDIS_USERNAME="web", REDIS_PASSWORD="p4ss"))

    def used(client: Client) -> tuple[str, str]:
        arguments = client.connection_pool.connection_kwargs
        return arguments["username"], arguments["password"]

    assert store.run(used) == ("web", "p4ss")
