"""The in-process cache: no value is older than it may be."""

import pytest

from app.services.cache_service import CacheService, Entry, InProcessCache
from app.utils import metrics
from tests.support.app_parts import Clock, make_redis, make_settings, sample

MINUTE = 60.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(100.0)
    monkeypatch.setattr("time.monotonic", clock)
    return clock


@pytest.fixture
def cache() -> InProcessCache:
    return InProcessCache(0.5)


def entry(clock: Clock, payload: bytes = b"1", seconds: float = MINUTE) -> Entry:
    return Entry(payload, ends_at=clock.now + seconds, read_at=clock.now)


@pytest.mark.parametrize(
    ("ttl", "read", "kept_after"),
    [
        (MINUTE, 0.0, {0.4: True, 0.6: False}),
        (0.1, 0.0, {0.2: False}),  # its own end
        (MINUTE, 0.6, {0.6: False}),  # the age counts from before Redis was asked
    ],
)
def test_an_entry_is_kept_for_its_time_and_no_longer(
    cache: InProcessCache, clock: Clock, ttl: float, read: float, kept_after: dict[float, bool]
) -> None:
    began, new = clock.now, entry(clock, seconds=ttl)
    clock.now += read
    cache.put("key", new)

    for after, kept in kept_after.items():
        clock.now = began + after
        found = cache.get("key")
        assert (found is not None) == kept
        assert found is None or found.ttl_seconds() == pytest.approx(ttl - after)


def test_an_entry_that_changes_meanwhile_is_not_kept(cache: InProcessCache, clock: Clock) -> None:
    before_the_change = entry(clock)
    clock.now += 0.01
    cache.discard("key")
    cache.put("key", before_the_change)
    assert cache.get("key") is None


def test_memory_is_bounded(cache: InProcessCache, clock: Clock) -> None:
    cache.put("large", entry(clock, b"x" * (cache.MAX_BYTES + 1)))
    for number in range(cache.MAX_ENTRIES + 1):
        cache.put(str(number), entry(clock))
    assert cache.get("large") is None
    assert cache.get("0") is None
    assert cache.get(str(cache.MAX_ENTRIES)) is not None


@pytest.mark.parametrize(("milliseconds", "seen"), [("0", "theirs"), ("5000", "ours")])
def test_the_cache_answers_from_memory_only_if_it_is_set(milliseconds: str, seen: str) -> None:
    redis, lookups, hit = make_redis(), list[bool](), {"operation": "get", "result": "hit"}
    cache = CacheService(make_settings(CACHE_LOCAL_MS=milliseconds), redis, lookups.append)
    cache.set("key", "ours")
    before = sample(metrics.CACHE_REQUESTS, **hit)
    assert cache.get("key") == "ours"

    redis.write(("SET", redis.key("cache", "key"), '"theirs"', "PX", 60_000))

    assert cache.get("key") == seen
    assert sample(metrics.CACHE_REQUESTS, **hit) - before == 2 and lookups == [True, True]


def test_a_change_by_this_process_is_visible_at_once() -> None:
    settings = make_settings(CACHE_LOCAL_MS="5000")
    cache = CacheService(settings, make_redis())
    cache.set("key", 1)
    assert cache.get("key") == 1

    cache.set("key", 2)
    assert cache.get("key") == 2

    cache.delete("key")
    assert cache.get("key") is None
