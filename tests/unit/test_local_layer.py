"""The layer in memory: fast, and never staler than it may be."""

import pytest

from app.services.cache_service import CacheService
from app.services.local_layer import MOST_BYTES, MOST_ENTRIES, Entry, LocalLayer
from app.utils import metrics
from app.utils.store import Store
from tests.unit.conftest import make_settings


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def layer(clock: Clock) -> LocalLayer:
    return LocalLayer(500, clock)


def test_an_entry_is_kept_for_its_time_and_no_longer(layer: LocalLayer, clock: Clock) -> None:
    layer.keep("key", lambda: Entry(b"1", 60_000))

    clock.now += 0.4
    assert layer.get("key") == Entry(b"1", 59_600)

    clock.now += 0.2
    assert layer.get("key") is None


def test_an_entry_ends_with_its_own_life(layer: LocalLayer, clock: Clock) -> None:
    layer.keep("key", lambda: Entry(b"1", 100))

    clock.now += 0.2

    assert layer.get("key") is None


def test_its_age_counts_from_before_redis_was_asked(layer: LocalLayer, clock: Clock) -> None:
    def slow() -> Entry:
        clock.now += 0.6
        return Entry(b"1", 60_000)

    layer.keep("key", slow)

    assert layer.get("key") is None


def test_a_miss_and_what_is_forgotten_are_not_kept(layer: LocalLayer) -> None:
    layer.keep("key", lambda: Entry(b"1", 60_000))
    layer.keep("key", lambda: None)
    assert layer.get("key") is None

    layer.keep("key", lambda: Entry(b"1", 60_000))
    layer.forget("key")
    assert layer.get("key") is None


def test_what_is_forgotten_while_it_is_fetched_is_not_kept(layer: LocalLayer) -> None:
    def overtaken() -> Entry:
        layer.forget("key")
        return Entry(b"before the change", 60_000)

    assert layer.keep("key", overtaken) == Entry(b"before the change", 60_000)

    assert layer.get("key") is None


def test_memory_is_bounded(layer: LocalLayer) -> None:
    layer.keep("large", lambda: Entry(b"x" * (MOST_BYTES + 1), 60_000))
    for number in range(MOST_ENTRIES + 1):
        layer.keep(str(number), lambda: Entry(b"1", 60_000))

    assert layer.get("large") is None
    assert layer.get("0") is None
    assert layer.get(str(MOST_ENTRIES)) is not None


def hits() -> float:
    labels = {"operation": "get", "result": "hit"}
    return metrics.REGISTRY.get_sample_value("cache_requests_total", labels) or 0.0


@pytest.mark.parametrize(("milliseconds", "seen"), [("0", "theirs"), ("5000", "ours")])
def test_the_cache_answers_from_memory_only_when_told_to(milliseconds: str, seen: str) -> None:
    settings = make_settings(CACHE_LOCAL_MS=milliseconds)
    store = Store(settings)
    looks: list[bool] = []
    cache = CacheService(settings, store, looks.append)
    cache.set("key", "ours")
    before = hits()
    assert cache.get("key") == "ours"

    store.run(lambda redis: redis.set(store.key("cache", "key"), '"theirs"', px=60_000))

    assert cache.get("key") == seen
    assert hits() - before == 2 and looks == [True, True]


def test_what_this_process_changes_is_seen_at_once() -> None:
    settings = make_settings(CACHE_LOCAL_MS="5000")
    cache = CacheService(settings, Store(settings))
    cache.set("key", 1)
    assert cache.get("key") == 1

    cache.set("key", 2)
    assert cache.get("key") == 2

    cache.delete("key")
    assert cache.get("key") is None
