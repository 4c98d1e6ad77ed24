"""Usage that is counted while Redis is away waits in memory, within bounds."""

from collections.abc import Callable
from typing import Any

import pytest

from app.services import stats_service
from app.services.stats_service import StatsService
from app.utils.store import Store, StoreUnavailable
from tests.unit.conftest import Clock, make_settings


@pytest.fixture
def stats(store: Store, clock: Clock) -> StatsService:
    return StatsService(make_settings(), store, clock)


def record_while_away(stats: StatsService, store: Store, *users: str) -> None:
    """A request of each user, and after each a flush that fails."""

    def gone(operation: Callable[..., Any]) -> Any:
        raise StoreUnavailable("gone", tried=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "run", gone)
        for user in users:
            stats.record("/a", 200, 0.001, user)
            with pytest.raises(StoreUnavailable):
                stats.flush()


def test_counts_wait_while_redis_is_away_and_none_is_lost(
    stats: StatsService, store: Store
) -> None:
    record_while_away(stats, store, "first")
    stats.record("/a", 200, 0.001, "second")

    report = stats.report()

    assert report["requests"] == 2
    assert report["users"]["5m"] == 2


def test_users_who_wait_take_bounded_memory_and_their_requests_count_all_the_same(
    stats: StatsService, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats_service, "MOST_USERS_WAITING", 10)

    record_while_away(stats, store, *(f"user {number}" for number in range(30)))

    report = stats.report()
    assert report["requests"] == 30
    assert report["users"]["5m"] == 10
