"""A cached value near its end is refreshed early, by one caller."""

from collections.abc import Callable
from typing import Any

import pytest

from app.redis_client.client import RedisClient, RedisUnavailable
from app.services.cache_service import CacheService
from tests.support.app_parts import make_settings


def not_called() -> Any:
    """What to compute where nothing is to be computed."""
    raise AssertionError("computed although there was no need to")


@pytest.fixture(autouse=True)
def old(cache: CacheService, redis: RedisClient) -> None:
    """An entry near its end."""
    cache.set("key", "old", 600)
    redis.write(("PEXPIRE", redis.key("cache", "key"), 30_000))


def test_one_caller_refreshes_a_value_near_its_end_while_the_others_get_the_old_one(
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


def test_the_old_value_is_served_when_redis_fails_before_the_refresh(
    cache: CacheService, redis: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, steps = redis.run, iter([True, False])

    def once(operation: Callable[..., Any]) -> Any:
        if next(steps, False):
            return run(operation)
        raise RedisUnavailable("gone")

    monkeypatch.setattr(redis, "run", once)

    fetched = cache.fetch("key", 600, not_called)

    assert (fetched.value, fetched.result) == ("old", "HIT")
