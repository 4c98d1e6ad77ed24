"""Cache entries: time to live, conditional writes, counts, and an unavailable Redis."""

from typing import Any

import pytest

from app.redis_client.client import RedisClient, RedisUnavailable
from app.services.cache_service import CacheService, Entry
from app.utils import metrics
from tests.support.app_parts import make_settings


@pytest.fixture
def cut_off(unavailable: RedisClient) -> CacheService:
    """A cache whose Redis is unavailable."""
    return CacheService(make_settings(), unavailable)


def counted(operation: str, result: str) -> float:
    value = metrics.REGISTRY.get_sample_value(
        "cache_requests_total", {"operation": operation, "result": result}
    )
    assert value is not None
    return value


def entry(payload: bytes) -> Entry:
    return Entry(payload, 0.0, 0.0)


def dropped() -> float:
    value = metrics.REGISTRY.get_sample_value("cache_writes_dropped_total")
    assert value is not None
    return value


def left_ms(redis: RedisClient, key: str) -> int:
    """Milliseconds that an entry has left to live."""
    return int(redis.read(("PTTL", redis.key("cache", key)))[0])


@pytest.mark.parametrize("value", [None, False, 0, "", [], {"a": [1, 2.5, "ü", None]}])
def test_any_json_value_comes_back_as_it_was(cache: CacheService, value: Any) -> None:
    kept = cache.set("key", value)

    assert kept
    assert cache.get("key", "default") == value


def test_a_miss_is_the_default(cache: CacheService) -> None:
    assert cache.get("key", "default") == "default"


def test_a_deleted_entry_is_gone_and_delete_tells_whether_it_existed(
    cache: CacheService,
) -> None:
    cache.set("key", 1)

    first, second = cache.delete("key"), cache.delete("key")

    assert (first, second) == (True, False)
    assert cache.get("key") is None


def test_an_entry_always_has_a_time_to_live(cache: CacheService, redis: RedisClient) -> None:
    cache.set("default", 1)
    cache.set("given", 1, ttl=10)
    cache.set("endless", 1, ttl=1e9)

    assert 299_000 < left_ms(redis, "default") <= 300_000
    assert 9_000 < left_ms(redis, "given") <= 10_000
    assert 86_399_000 < left_ms(redis, "endless") <= 86_400_000


@pytest.mark.parametrize("ttl", [0, -1])
def test_a_time_to_live_must_be_positive(cache: CacheService, ttl: float) -> None:
    with pytest.raises(ValueError, match="above 0 s"):
        cache.set("key", 1, ttl)


def test_a_conditional_write_is_refused_once_the_entry_has_changed(cache: CacheService) -> None:
    cache.set("key", 1)

    refused = cache.replace("key", b"2", 60, seen=entry(b"0"), conditional=True)
    done = cache.replace("key", b"3", 60, seen=entry(b"1"), conditional=True)

    assert (refused, done) == (False, True)
    assert cache.get("key") == 3


def test_a_conditional_write_to_no_entry_is_refused_once_there_is_one(cache: CacheService) -> None:
    cache.set("key", 1)

    assert not cache.replace("key", b"2", 60, seen=None, conditional=True)
    assert cache.replace("other", b"2", 60, seen=None, conditional=True)


def test_a_conditional_delete_is_refused_once_the_entry_has_changed(cache: CacheService) -> None:
    cache.set("key", 1)

    refused = cache.replace("key", None, seen=entry(b"0"), conditional=True)
    done = cache.replace("key", None, seen=entry(b"1"), conditional=True)

    assert (refused, done) == (False, True)
    assert cache.lookup("key") is None


def test_keys_are_counted_by_prefix(cache: CacheService) -> None:
    for number in range(25):
        cache.set(f"mine:{number}", number)
    cache.set("other", 1)

    assert cache.key_count("mine:") == (25, True)
    assert cache.key_count("none:") == (0, True)


def test_counting_many_keys_stops_and_says_so(
    cache: CacheService, redis: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.cache_service.MAX_KEYS_COUNTED", 1500)
    redis.write(*(("SET", redis.key("cache", f"mine:{number}"), 1) for number in range(2500)))

    count, complete = cache.key_count("mine:")

    assert 1500 <= count < 2500
    assert not complete


def test_the_embedded_store_does_not_tell_its_memory(cache: CacheService) -> None:
    assert cache.memory_bytes() is None


def test_lookups_are_recorded_and_deletes_are_not(redis: RedisClient) -> None:
    seen: list[bool] = []
    cache = CacheService(make_settings(), redis, seen.append)

    cache.get("key")
    cache.set("key", 1)
    cache.get("key")
    cache.delete("key")

    assert seen == [False, True]


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


def test_without_redis_reads_miss_and_writes_are_dropped_and_counted(
    cut_off: CacheService,
) -> None:
    before = dropped()

    assert cut_off.get("key", "default") == "default"
    assert not cut_off.set("key", 1)
    assert not cut_off.delete("key")
    assert cut_off.fetch("key", 60, lambda: 1).result == "BYPASS"

    assert dropped() - before == 2


def test_without_redis_the_first_failures_are_errors_and_the_rest_bypass_it(
    cut_off: CacheService,
) -> None:
    errors, bypasses = counted("get", "error"), counted("get", "bypass")

    for _ in range(5):
        cut_off.get("key")

    assert counted("get", "error") - errors == 3
    assert counted("get", "bypass") - bypasses == 2


def test_a_lookup_tells_a_miss_from_an_outage(cut_off: CacheService) -> None:
    with pytest.raises(RedisUnavailable):
        cut_off.lookup("key")
