"""The cache service in one process; tests/integration/test_single_flight.py has several."""

import time
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

from app.redis_client.client import RedisClient, RedisUnavailable
from app.services.cache_service import CacheService, Entry, InProcessCache
from app.utils import metrics
from tests.support.app_parts import Clock, make_redis, make_settings, sample


@pytest.fixture
def cut_off(unavailable: RedisClient) -> CacheService:
    return CacheService(make_settings(), unavailable)


@pytest.fixture
def near_its_end(cache: CacheService, redis: RedisClient) -> None:
    """An entry that is due for a refresh."""
    cache.set("key", "old", 600)
    redis.write(("PEXPIRE", redis.key("cache", "key"), 30_000))


def counted(operation: str, result: str) -> float:
    return sample(metrics.CACHE_REQUESTS, operation=operation, result=result)


def not_called() -> Any:
    raise AssertionError("computed although there was no need to")


def gone(*_operation: Any) -> Any:
    raise RedisUnavailable("gone")


def left_ms(redis: RedisClient, key: str) -> int:
    return int(redis.read(("PTTL", redis.key("cache", key)))[0])


@pytest.fixture
def compute() -> Mock:
    return Mock(return_value="computed")


def lock(redis: RedisClient) -> None:
    """Take the lock as another process would."""
    redis.write(("SET", redis.key("lock", "key"), "another process", "PX", 5000))


def lock_holder(redis: RedisClient) -> bytes | None:
    holder: bytes | None = redis.read(("GET", redis.key("lock", "key")))[0]
    return holder


def test_an_entry_always_has_a_time_to_live(cache: CacheService, redis: RedisClient) -> None:
    cache.set("default", 1)
    cache.set("given", 1, ttl=10)
    cache.set("endless", 1, ttl=1e9)
    assert 299_000 < left_ms(redis, "default") <= 300_000
    assert 9_000 < left_ms(redis, "given") <= 10_000
    assert 86_399_000 < left_ms(redis, "endless") <= 86_400_000


def test_a_time_to_live_must_be_positive(cache: CacheService) -> None:
    for ttl in (0, -1):
        with pytest.raises(ValueError, match="above 0 s"):
            cache.set("key", 1, ttl)


def test_a_conditional_write_to_no_entry_is_refused_once_there_is_one(cache: CacheService) -> None:
    cache.set("key", 1)
    assert not cache.replace("key", b"2", 60, seen=None, conditional=True)
    assert cache.replace("other", b"2", 60, seen=None, conditional=True)


def test_keys_are_counted_by_prefix_and_counting_many_stops_and_says_so(
    cache: CacheService, redis: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(25):
        cache.set(f"mine:{number}", number)
    cache.set("other", 1)

    assert cache.key_count("mine:") == (25, True)
    assert cache.key_count("none:") == (0, True)

    monkeypatch.setattr("app.services.cache_service.MAX_KEYS_SCANNED", 2000)
    redis.write(*(("SET", f"other:{number}", 1) for number in range(2500)))
    assert cache.key_count("none:") == (0, False)


def test_operations_are_counted_by_their_outcome(cache: CacheService) -> None:
    operations = (
        ("get", "miss"), ("get", "hit"), ("set", "hit"), ("delete", "hit"), ("delete", "miss"),
        ("get_or_set", "miss"), ("get_or_set", "hit"),
    )  # fmt: skip
    before = {each: counted(*each) for each in operations}

    cache.get("key")
    cache.set("key", 1)
    cache.get("key")
    cache.delete("key")
    cache.delete("key")
    cache.get_or_set("other", 60, lambda: 1)
    cache.get_or_set("other", 60, lambda: 1)

    after = {each: counted(*each) - before[each] for each in operations}
    assert after == {**dict.fromkeys(operations, 1.0), ("set", "hit"): 2.0}


def test_without_redis_reads_miss_and_writes_are_dropped_and_counted(cut_off: CacheService) -> None:
    before = sample(metrics.CACHE_WRITES_DROPPED)
    errors, bypasses = counted("get", "error"), counted("get", "bypass")

    assert cut_off.get("key", "default") == "default"
    assert not cut_off.set("key", 1)
    assert not cut_off.delete("key")
    assert cut_off.fetch("key", 60, lambda: 1).result == "BYPASS"
    assert cut_off.get("key") is None

    assert sample(metrics.CACHE_WRITES_DROPPED) - before == 2
    # After three failures in a row, Redis is not asked.
    assert counted("get", "error") - errors == 1
    assert counted("get", "bypass") - bypasses == 1


@pytest.mark.parametrize("value", [None, False, 0, "", [], {"a": [1, 2.5, "ü", None]}])
def test_a_miss_computes_and_keeps_any_json_value(cache: CacheService, value: Any) -> None:
    compute = Mock(return_value=value)
    first = cache.fetch("key", 60, compute)
    second = cache.fetch("key", 60, compute)
    assert (first.result, second.result) == ("MISS", "HIT")
    assert first.value == second.value == cache.get("key", "default") == value
    assert compute.call_count == 1


def test_computed_values_live_up_to_a_tenth_shorter_so_that_they_do_not_expire_together(
    cache: CacheService, redis: RedisClient, compute: Mock
) -> None:
    started = time.monotonic()
    for number in range(20):
        cache.get_or_set(f"key-{number}", 100, compute)

    lives = [left_ms(redis, f"key-{number}") for number in range(20)]
    least = 90_000 - 1000 * (time.monotonic() - started) - 1
    assert all(least < life <= 100_000 for life in lives)
    assert max(lives) - min(lives) > 1_000


def test_an_error_reaches_the_caller_and_the_next_one_computes(
    cache: CacheService, compute: Mock
) -> None:
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("key", 60, lambda: 1 / 0)
    assert cache.get_or_set("key", 60, compute) == "computed"


def test_a_caller_that_gets_the_lock_after_the_value_was_stored_takes_the_value(
    cache: CacheService, redis: RedisClient, compute: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(redis)

    def end_of_the_other(_: float) -> None:
        CacheService(make_settings(), redis).set("key", "theirs")
        redis.write(("DEL", redis.key("lock", "key")))

    monkeypatch.setattr("time.sleep", end_of_the_other)

    fetched = cache.fetch("key", 60, compute)

    assert (fetched.value, compute.call_count) == ("theirs", 0)
    assert lock_holder(redis) is None


def test_a_caller_waits_its_budget_and_then_computes(redis: RedisClient, compute: Mock) -> None:
    cache = CacheService(make_settings(REDIS_TIMEOUT_MS="50"), redis)
    lock(redis)
    fetched = cache.fetch("key", 60, compute)
    assert (fetched.value, fetched.result) == ("computed", "MISS")
    assert cache.fetch("key", 60, compute).result == "HIT"
    assert lock_holder(redis) is not None


def test_a_lock_runs_out_and_is_not_released_once_another_process_has_it(
    cache: CacheService, redis: RedisClient
) -> None:
    def outlive_the_lock() -> None:
        assert redis.read(("PTTL", redis.key("lock", "key")))[0] > 0
        lock(redis)

    cache.get_or_set("key", 60, outlive_the_lock)
    assert lock_holder(redis) == b"another process"


@pytest.mark.parametrize(
    ("key", "calls"),
    [
        (None, [(1, 2), (2, 1)]),
        ("sum", [(1, 2)]),
        (lambda left, right: f"sum:{left + right}", [(1, 2)]),
    ],
)
def test_a_decorated_function_runs_once_for_the_same_arguments_or_key(
    cache: CacheService, key: str | Callable[..., str] | None, calls: list[tuple[int, int]]
) -> None:
    called: list[tuple[int, int]] = []

    @cache.cached(ttl=60, **({"key": key} if key else {}))
    def add(left: int, right: int = 0) -> int:
        """Docs."""
        called.append((left, right))
        return left + right

    results = [add(1, right=2), add(1, right=2), add(2, right=1)]

    assert (results, called, add.__doc__) == ([3, 3, 3], calls, "Docs.")


def test_an_explicit_write_may_wait_longer(redis: RedisClient, unavailable: RedisClient) -> None:
    cache = CacheService(make_settings(), unavailable, data=redis)

    assert not cache.set("key", 1)
    assert cache.replace("key", b"2", 60)

    assert cache.get("key") is None
    seen = cache.peek("key")
    assert seen and seen.value == 2
    assert cache.replace("key", None, seen=seen, conditional=True)


def test_a_computed_value_is_served_when_redis_fails_meanwhile(
    cache: CacheService, redis: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute() -> str:
        monkeypatch.setattr(redis, "run", gone)
        return "computed"

    fetched = cache.fetch("key", 60, compute)

    assert (fetched.value, fetched.result) == ("computed", "BYPASS")


def test_a_computation_may_compute_another_key(cache: CacheService) -> None:
    inner = cache.get_or_set("outer", 60, lambda: cache.get_or_set("inner", 60, lambda: "both"))
    assert inner == "both"


@pytest.mark.usefixtures("near_its_end")
def test_one_caller_refreshes_while_others_get_the_old_one(
    cache: CacheService, redis: RedisClient
) -> None:
    served = []

    def refresh() -> str:
        served.append(cache.fetch("key", 600, not_called))
        return "new"

    refreshed = cache.fetch("key", 600, refresh)

    assert (refreshed.value, refreshed.result) == ("new", "MISS")
    assert [(each.value, each.result) for each in served] == [("old", "HIT")]
    assert redis.read(("PTTL", redis.key("cache", "key")))[0] > 500_000


@pytest.mark.usefixtures("near_its_end")
def test_a_value_that_another_process_has_just_refreshed_is_not_computed_again(
    cache: CacheService, redis: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, read = CacheService(make_settings(), redis), redis.read

    def read_and_be_overtaken(*commands: Any) -> list[Any]:
        answers = read(*commands)
        monkeypatch.undo()
        other.get_or_set("key", 600, lambda: "theirs")
        return answers

    monkeypatch.setattr(redis, "read", read_and_be_overtaken)

    fetched = cache.fetch("key", 600, not_called)

    assert (fetched.value, fetched.result) == ("theirs", "HIT")
    assert redis.read(("EXISTS", redis.key("lock", "key"))) == [0]


@pytest.mark.usefixtures("near_its_end")
def test_the_old_value_is_served_when_redis_fails_before_the_refresh(
    cache: CacheService, redis: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, steps = redis.run, iter([True, False])

    def once(*operation: Any) -> Any:
        if next(steps, False):
            return run(*operation)
        raise RedisUnavailable("gone")

    monkeypatch.setattr(redis, "run", once)

    fetched = cache.fetch("key", 600, not_called)

    assert (fetched.value, fetched.result) == ("old", "HIT")


MINUTE = 60.0


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(100.0)
    monkeypatch.setattr("time.monotonic", clock)
    return clock


@pytest.fixture
def memory() -> InProcessCache:
    return InProcessCache(0.5)


def entry(monotonic: Clock, payload: bytes = b"1", seconds: float = MINUTE) -> Entry:
    return Entry(payload, ends_at=monotonic.now + seconds, read_at=monotonic.now)


@pytest.mark.parametrize(
    ("ttl", "read", "kept_after"),
    [
        (MINUTE, 0.0, {0.4: True, 0.6: False}),
        (0.1, 0.0, {0.2: False}),  # its own end
        (MINUTE, 0.6, {0.6: False}),  # the age counts from before Redis was asked
    ],
)
def test_an_entry_is_kept_for_its_time_and_no_longer(
    memory: InProcessCache, monotonic: Clock, ttl: float, read: float, kept_after: dict[float, bool]
) -> None:
    began, new = monotonic.now, entry(monotonic, seconds=ttl)
    monotonic.now += read
    memory.put("key", new)

    for after, kept in kept_after.items():
        monotonic.now = began + after
        found = memory.get("key")
        assert (found is not None) == kept
        assert found is None or found.ttl_seconds() == pytest.approx(ttl - after)


def test_an_entry_that_changes_meanwhile_is_not_kept(
    memory: InProcessCache, monotonic: Clock
) -> None:
    before_the_change = entry(monotonic)
    monotonic.now += 0.01
    memory.discard("key")
    memory.put("key", before_the_change)
    assert memory.get("key") is None


def test_memory_is_bounded(memory: InProcessCache, monotonic: Clock) -> None:
    memory.put("large", entry(monotonic, b"x" * (memory.MAX_BYTES + 1)))
    for number in range(memory.MAX_ENTRIES + 1):
        memory.put(str(number), entry(monotonic))
    assert memory.get("large") is None
    assert memory.get("0") is None
    assert memory.get(str(memory.MAX_ENTRIES)) is not None


@pytest.mark.parametrize(("milliseconds", "seen"), [("0", "theirs"), ("5000", "ours")])
def test_the_cache_answers_from_memory_only_if_it_is_set(milliseconds: str, seen: str) -> None:
    redis, hit = make_redis(), {"operation": "get", "result": "hit"}
    cache = CacheService(make_settings(CACHE_LOCAL_MS=milliseconds), redis)
    cache.set("key", "ours")
    before = sample(metrics.CACHE_REQUESTS, **hit)
    assert cache.get("key") == "ours"

    redis.write(("SET", redis.key("cache", "key"), '"theirs"', "PX", 60_000))

    assert cache.get("key") == seen
    assert sample(metrics.CACHE_REQUESTS, **hit) - before == 2


def test_a_change_by_this_process_is_visible_at_once() -> None:
    settings = make_settings(CACHE_LOCAL_MS="5000")
    cache = CacheService(settings, make_redis())
    cache.set("key", 1)
    assert cache.get("key") == 1

    cache.set("key", 2)
    assert cache.get("key") == 2

    cache.delete("key")
    assert cache.get("key") is None
