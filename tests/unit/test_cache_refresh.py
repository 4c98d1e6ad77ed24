"""A cached value near its end is made anew by one caller, early."""

from collections.abc import Callable
from typing import Any

import pytest

from app.services.cache_service import CacheService
from app.utils.store import Store, StoreUnavailable
from tests.unit.conftest import make_settings


def not_called() -> Any:
    """What to compute where nothing is to be computed."""
    raise AssertionError("computed although there was no need to")


@pytest.fixture(autouse=True)
def old(cache: CacheService, store: Store) -> None:
    """An entry near its end."""
    cache.set("key", "old", 600)
    store.run(lambda redis: redis.pexpire(store.key("cache", "key"), 30_000))


def test_a_value_near_its_end_is_made_anew_by_one_caller_while_the_rest_are_served(
    cache: CacheService, store: Store
) -> None:
    served = []

    def refresh() -> str:
        served.append(cache.fetch("key", 600, not_called))
        return "new"

    refreshed = cache.fetch("key", 600, refresh)

    assert (refreshed.value, refreshed.result) == ("new", "MISS")
    assert [(each.value, each.result) for each in served] == [("old", "HIT")]
    assert store.run(lambda redis: redis.pttl(store.key("cache", "key"))) > 500_000


def test_a_value_that_another_process_has_just_made_anew_is_not_made_again(
    cache: CacheService, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, read = CacheService(make_settings(), store), store.read

    def read_and_be_overtaken(*commands: Any) -> list[Any]:
        answers = read(*commands)
        monkeypatch.undo()
        other.get_or_set("key", 600, lambda: "theirs")
        return answers

    monkeypatch.setattr(store, "read", read_and_be_overtaken)

    fetched = cache.fetch("key", 600, not_called)

    assert (fetched.value, fetched.result) == ("theirs", "HIT")
    assert not store.run(lambda redis: redis.exists(store.key("lock", "key")))


def test_the_value_is_served_when_redis_goes_away_before_it_could_be_refreshed(
    cache: CacheService, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, steps = store.run, iter([True, False])

    def once(operation: Callable[..., Any]) -> Any:
        if next(steps, False):
            return run(operation)
        raise StoreUnavailable("gone", tried=True)

    monkeypatch.setattr(store, "run", once)

    fetched = cache.fetch("key", 600, not_called)

    assert (fetched.value, fetched.result) == ("old", "HIT")
