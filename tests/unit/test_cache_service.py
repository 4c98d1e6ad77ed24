"""The cache computes once, in one process; see also the integration tests."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from app.redis_client.client import RedisClient, RedisUnavailable
from app.services.cache_service import CacheService
from tests.support.app_parts import make_settings


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


def lock(redis: RedisClient) -> None:
    """Take the lock as another process would."""
    redis.write(("SET", redis.key("lock", "key"), "another process", "PX", 5000))


def lock_holder(redis: RedisClient) -> bytes | None:
    holder: bytes | None = redis.read(("GET", redis.key("lock", "key")))[0]
    return holder


def left_ms(redis: RedisClient, key: str) -> int:
    """Milliseconds that an entry has left to live."""
    return int(redis.read(("PTTL", redis.key("cache", key)))[0])


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
    cache: CacheService, redis: RedisClient, compute: Compute
) -> None:
    started = time.monotonic()
    for number in range(20):
        cache.get_or_set(f"key-{number}", 100, compute)

    lives = [left_ms(redis, f"key-{number}") for number in range(20)]
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


def test_a_caller_that_waits_for_another_process_gets_its_value(
    cache: CacheService, redis: RedisClient, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = CacheService(make_settings(), redis)
    lock(redis)
    monkeypatch.setattr("time.sleep", lambda seconds: other.set("key", "theirs"))

    fetched = cache.fetch("key", 60, compute)

    assert (fetched.value, fetched.result) == ("theirs", "HIT")
    assert compute.calls == 0


def test_a_caller_that_gets_the_lock_after_the_value_was_stored_takes_the_value(
    cache: CacheService, redis: RedisClient, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = CacheService(make_settings(), redis)
    lock(redis)

    def end_of_the_other(_: float) -> None:
        other.set("key", "theirs")
        redis.write(("DEL", redis.key("lock", "key")))

    monkeypatch.setattr("time.sleep", end_of_the_other)

    fetched = cache.fetch("key", 60, compute)

    assert (fetched.value, compute.calls) == ("theirs", 0)
    assert lock_holder(redis) is None


def test_a_caller_that_has_waited_too_long_computes_without_storing(
    cache: CacheService, redis: RedisClient, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.cache_service.COMPUTE_SECONDS", 0.05)
    lock(redis)

    fetched = cache.fetch("key", 60, compute)

    assert (fetched.value, fetched.result) == ("computed", "BYPASS")
    assert cache.get("key") is None


def test_the_lock_is_released(cache: CacheService, redis: RedisClient, compute: Compute) -> None:
    cache.get_or_set("key", 60, compute)

    assert lock_holder(redis) is None


def test_a_lock_that_has_expired_and_is_another_callers_now_stays(
    cache: CacheService, redis: RedisClient
) -> None:
    cache.get_or_set("key", 60, lambda: lock(redis))

    assert lock_holder(redis) == b"another process"


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


def test_a_computed_value_is_served_when_redis_fails_meanwhile(
    cache: CacheService, redis: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(operation: Callable[..., Any]) -> Any:
        raise RedisUnavailable("gone")

    def compute() -> str:
        monkeypatch.setattr(redis, "run", gone)
        return "computed"

    fetched = cache.fetch("key", 60, compute)

    assert (fetched.value, fetched.result) == ("computed", "BYPASS")
