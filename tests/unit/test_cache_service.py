"""The cache computes once, in one process; see also the integration tests."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from app.services.cache_service import CacheService
from app.utils.store import Store, StoreUnavailable
from tests.unit.conftest import make_settings


class Compute:
    """Something worth caching that counts how often it runs."""

    def __init__(self, value: Any = "computed") -> None:
        self.value = value
        self.calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        return self.value


@pytest.fixture
def compute() -> Compute:
    return Compute()


def left_ms(store: Store, key: str) -> int:
    """Milliseconds that an entry has left to live."""
    return store.run(lambda redis: int(redis.pttl(store.key("cache", key))))


def test_a_miss_computes_and_keeps(cache: CacheService, compute: Compute) -> None:
    first = cache.fetch("key", 60, compute)
    second = cache.fetch("key", 60, compute)

    assert (first.result, second.result) == ("MISS", "HIT")
    assert (first.value, second.value) == ("computed", "computed")
    assert compute.calls == 1


def test_a_computed_none_is_kept_too(cache: CacheService) -> None:
    compute = Compute(None)

    cache.get_or_set("key", 60, compute)
    cache.get_or_set("key", 60, compute)

    assert compute.calls == 1


def test_computed_values_live_up_to_a_tenth_shorter_so_that_they_do_not_end_together(
    cache: CacheService, store: Store, compute: Compute
) -> None:
    started = time.monotonic()
    for number in range(20):
        cache.get_or_set(f"key-{number}", 100, compute)

    lives = [left_ms(store, f"key-{number}") for number in range(20)]
    least = 90_000 - 1000 * (time.monotonic() - started) - 1
    assert all(least < life <= 100_000 for life in lives)
    assert max(lives) - min(lives) > 1_000


def test_threads_that_miss_the_same_key_share_one_computation(cache: CacheService) -> None:
    release = threading.Event()
    compute = Compute()
    got: list[Any] = []

    def slow() -> Any:
        release.wait(5)
        return compute()

    threads = [
        threading.Thread(target=lambda: got.append(cache.get_or_set("key", 60, slow)))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    release.set()
    for thread in threads:
        thread.join()

    assert got == ["computed"] * 16
    assert compute.calls == 1


def test_an_error_while_computing_reaches_the_caller_and_the_next_one_tries_again(
    cache: CacheService, compute: Compute
) -> None:
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("key", 60, lambda: 1 / 0)

    assert cache.get_or_set("key", 60, compute) == "computed"


def test_whoever_waits_for_another_process_takes_its_value(
    cache: CacheService, store: Store, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = CacheService(make_settings(), store)
    store.run(lambda redis: redis.set(store.key("lock", "key"), "another process", px=5000))
    monkeypatch.setattr("time.sleep", lambda seconds: other.set("key", "theirs"))

    fetched = cache.fetch("key", 60, compute)

    assert (fetched.value, fetched.result) == ("theirs", "HIT")
    assert compute.calls == 0


def test_whoever_gets_the_lock_just_after_the_value_came_takes_the_value(
    cache: CacheService, store: Store, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, lock = CacheService(make_settings(), store), store.key("lock", "key")
    store.run(lambda redis: redis.set(lock, "another process", px=5000))

    def end_of_the_other(_: float) -> None:
        other.set("key", "theirs")
        store.run(lambda redis: redis.delete(lock))

    monkeypatch.setattr("time.sleep", end_of_the_other)

    fetched = cache.fetch("key", 60, compute)

    assert (fetched.value, compute.calls) == ("theirs", 0)
    assert not store.run(lambda redis: redis.exists(lock))


def test_whoever_has_waited_long_enough_computes_without_keeping(
    cache: CacheService, store: Store, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.cache_service.COMPUTE_SECONDS", 0.05)
    store.run(lambda redis: redis.set(store.key("lock", "key"), "another process", px=5000))

    fetched = cache.fetch("key", 60, compute)

    assert (fetched.value, fetched.result) == ("computed", "BYPASS")
    assert cache.get("key") is None


def test_the_lock_is_given_back(cache: CacheService, store: Store, compute: Compute) -> None:
    cache.get_or_set("key", 60, compute)

    assert not store.run(lambda redis: redis.exists(store.key("lock", "key")))


def test_a_lock_that_ran_out_and_is_somebody_elses_now_is_left_alone(
    cache: CacheService, store: Store
) -> None:
    lock = store.key("lock", "key")

    cache.get_or_set(
        "key", 60, lambda: store.run(lambda redis: redis.set(lock, "another", px=5000))
    )

    assert store.run(lambda redis: redis.get(lock)) == b"another"


def test_a_decorated_function_runs_once_for_the_same_arguments(cache: CacheService) -> None:
    calls: list[tuple[int, int]] = []

    @cache.cached(ttl=60)
    def add(left: int, right: int = 0) -> int:
        """Docs."""
        calls.append((left, right))
        return left + right

    results = [add(1, right=2), add(1, right=2), add(2, right=1)]

    assert results == [3, 3, 3]
    assert calls == [(1, 2), (2, 1)]
    assert add.__doc__ == "Docs."


@pytest.mark.parametrize("key", ["sum", lambda left, right: f"sum:{left + right}"])
def test_a_decorated_function_may_name_its_key(
    cache: CacheService, key: str | Callable[..., str]
) -> None:
    calls: list[tuple[int, int]] = []

    @cache.cached(key=key)
    def add(left: int, right: int) -> int:
        calls.append((left, right))
        return left + right

    results = [add(1, 2), add(2, 1)]

    assert results == [3, 3]
    assert calls == [(1, 2)]


def test_what_was_computed_is_served_when_redis_went_away_meanwhile(
    cache: CacheService, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(operation: Callable[..., Any]) -> Any:
        raise StoreUnavailable("gone", tried=True)

    def compute() -> str:
        monkeypatch.setattr(store, "run", gone)
        return "computed"

    fetched = cache.fetch("key", 60, compute)

    assert (fetched.value, fetched.result) == ("computed", "BYPASS")
