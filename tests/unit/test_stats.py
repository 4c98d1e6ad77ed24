"""Usage over all instances, on a clock that the tests move."""

import itertools
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from app.config import Settings
from app.redis_client.client import RedisClient, RedisUnavailable
from app.services.aggregation import quantile
from app.services.stats import PopulationCollector, StatsService
from app.services.worker_counts import Report
from app.utils import metrics
from app.utils.metrics import DURATION_BUCKETS
from tests.support.app_parts import Clock, make_settings, seconds_left


class Stats(StatsService):
    """That of a worker, whose counts the test gives."""

    def __init__(self, settings: Settings, redis: RedisClient, clock: Clock) -> None:
        self.counts = Counter[str]()
        super().__init__(settings, redis, clock, self)  # type: ignore[arg-type]
        self._numbers = itertools.count(1)

    def reports(self) -> Iterator[Report]:
        if self.counts:
            yield Report(f"{id(self)}", next(self._numbers), self.counts)
            self.counts.clear()

    def record(self, route: str, status: int, seconds: float, user: str) -> None:
        self.counts[f"{route}|b{bisect_left(DURATION_BUCKETS, seconds)}"] += 1
        self.counts[f"{route}|errors"] += status >= 500
        self.record_user(user)


@pytest.fixture
def make_stats(redis: RedisClient, clock: Clock) -> Callable[..., Stats]:
    """Makes the stats of one more worker, or of another instance."""
    return lambda instance="one", secret="same": Stats(
        make_settings(INSTANCE_ID=instance, SECRET_KEY=secret), redis, clock
    )


@pytest.fixture
def stats(make_stats: Callable[..., Stats]) -> Stats:
    return make_stats()


@pytest.fixture
def clock() -> Clock:
    return Clock(86_400.0)  # where a bucket of every window begins


def redis_text(redis: RedisClient) -> bytes:
    """Everything Redis holds, names and values, but for the HyperLogLogs' registers."""

    def dump(client: Redis) -> bytes:
        keys: Any = client.keys("*")
        hashes: Any = [client.hgetall(key) for key in keys if b"stats" in key]
        return repr((keys, hashes)).encode()

    return redis.run(dump)


def test_requests_errors_and_rates_are_reported(stats: Stats, clock: Clock) -> None:
    for _ in range(3):
        stats.record("/a", 200, 0.001, "user")
    stats.record("/b", 503, 0.001, "user")
    stats.record("/b", 404, 0.001, "user")
    clock.now += 10

    report = stats.report()

    assert (report["requests"], report["errors"], report["error_ratio"]) == (5, 1, 0.2)
    assert report["requests_per_second"] == round(5 / 250, 3)
    assert report["window_seconds"] == 250
    rows = [(each["route"], each["requests"], each["errors"]) for each in report["endpoints"]]
    assert rows == [("/a", 3, 0), ("/b", 2, 1)]


def test_without_requests_counts_are_zero_and_ratios_null(stats: Stats) -> None:
    report = stats.report()
    assert (report["requests"], report["error_ratio"], report["endpoints"]) == (0, None, [])
    assert report["latency_ms"] == {"p50": None, "p95": None, "p99": None}
    assert report["cache"] == {"hits": 0, "misses": 0, "ratio": None}
    assert report["users"] == {"5m": 0, "1h": 0, "24h": 0}


def test_workers_and_instances_are_added_up_and_a_user_of_both_is_one(
    stats: Stats, make_stats: Callable[..., Stats]
) -> None:
    other = make_stats("two")
    stats.record("/a", 200, 0.001, "first")
    for user in ("first", "second"):
        other.record("/a", 200, 0.001, user)
    other.flush()

    report = stats.report()

    assert report["requests"] == 3
    assert report["users"]["5m"] == 2
    assert report["instances"] == ["one", "two"]


def test_the_window_and_the_instances_move_on_and_the_total_stays(
    stats: Stats, make_stats: Callable[..., Stats], clock: Clock
) -> None:
    make_stats("gone").flush()
    stats.record("/a", 500, 0.001, "user")
    stats.flush()

    clock.now += 16
    assert stats.report()["instances"] == ["one"]
    clock.now += 5 * 60
    report = stats.report()
    assert report["requests"] == 0
    assert report["total"] == {"requests": 1, "errors": 1}


@pytest.mark.parametrize(("window", "seconds"), [("5m", 300), ("1h", 3600), ("24h", 86400)])
def test_a_user_is_active_in_a_window(
    stats: Stats, clock: Clock, window: str, seconds: int
) -> None:
    stats.record("/a", 200, 0.001, "user")
    stats.flush()

    clock.now += seconds - 1
    within = stats.population().users[window]
    clock.now += 1
    after = stats.population().users[window]

    assert (within, after) == (1, 0)


def test_a_reader_of_redis_without_the_secret_cannot_recognise_a_user(
    stats: Stats, make_stats: Callable[..., Stats], redis: RedisClient
) -> None:
    stats.record("/a", 200, 0.001, "192.0.2.7 curl")
    make_stats(secret="another").record("/a", 200, 0.001, "192.0.2.7 curl")

    stats.flush()
    guessed = make_stats(secret="another")
    guessed.record("/a", 200, 0.001, "192.0.2.7 curl")
    guessed.flush()

    assert b"192.0.2.7" not in redis_text(redis)
    assert stats.population().users["5m"] == 2


def test_only_what_has_ended_is_deleted(stats: Stats, redis: RedisClient) -> None:
    def keys() -> set[Any]:
        return set(redis.run(lambda client: client.keys("*")))

    stats.record("/a", 200, 0.001, "user")
    stats.flush()
    assert keys() - set(seconds_left(redis)) == {b"ds:ends"}

    before = keys()
    for key, seconds in (("ended", -1), ("alive", 60), ("endless", None)):
        redis.write(("SET", key, "1"), *([redis.ends(key, seconds)] if seconds else []))
    redis.delete_ended()
    assert keys() - before == {b"alive", b"endless"}
    assert b"alive" in seconds_left(redis) and b"ended" not in seconds_left(redis)


def test_lookups_are_counted_for_ever_and_in_the_window(stats: Stats, clock: Clock) -> None:
    stats.counts.update({"cache|hits": 3, "cache|misses": 1})
    stats.flush()

    in_window = stats.report()["cache"]
    clock.now += 5 * 60

    assert in_window == {"hits": 3, "misses": 1, "ratio": 0.75}
    assert stats.cache_totals() == in_window
    assert stats.report()["cache"]["ratio"] is None


def test_latency_percentiles_are_estimated_in_milliseconds(stats: Stats) -> None:
    for _ in range(100):
        stats.record("/a", 200, 0.2, "user")
    latency = stats.report()["latency_ms"]
    assert latency == {"p50": 175.0, "p95": 242.5, "p99": 248.5}


@pytest.mark.parametrize(
    ("counts", "fraction", "seconds"),
    [({}, 0.5, None), ({0: 10}, 0.5, 0.0025), ({0: 5, 1: 5}, 0.5, 0.005)]
    + [({0: 5, 1: 5}, 0.75, 0.0075), ({11: 1}, 0.5, 10.0), ({2: 1}, 0.0, 0.0)],
)
def test_a_quantile_is_interpolated_within_its_bucket(
    counts: dict[int, int], fraction: float, seconds: float | None
) -> None:
    buckets = [counts.get(index, 0) for index in range(len(DURATION_BUCKETS) + 1)]
    assert quantile(DURATION_BUCKETS, buckets, fraction) == (
        None if seconds is None else pytest.approx(seconds)
    )


def test_the_gauges_show_users_sessions_and_items(stats: Stats) -> None:
    stats.record("/a", 200, 0.001, "user")
    stats.flush()

    families = {family.name: family.samples for family in PopulationCollector(stats).collect()}

    users = {each.labels["window"]: each.value for each in families[metrics.USERS_ACTIVE.name]}
    assert users == {"5m": 1, "1h": 1, "24h": 1}
    assert families[metrics.SESSIONS_ACTIVE.name][0].value == 0
    assert families[metrics.ITEMS_STORED.name][0].value == 0


def test_the_gauges_are_absent_while_redis_is_unavailable(unavailable: RedisClient) -> None:
    assert not list(PopulationCollector(StatsService(make_settings(), unavailable)).collect())


def record_in_outage(stats: Stats, redis: RedisClient, *users: str) -> None:
    """A request of each user, and after each a flush that fails."""

    def gone(*_operation: Any) -> Any:
        raise RedisUnavailable("gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis, "run", gone)
        for user in users:
            stats.record("/a", 200, 0.001, user)
            with pytest.raises(RedisUnavailable):
                stats.flush()


def test_no_count_is_lost_in_an_outage(stats: Stats, redis: RedisClient) -> None:
    record_in_outage(stats, redis, "first")
    stats.record("/a", 200, 0.001, "second")
    report = stats.report()
    assert (report["requests"], report["users"]["5m"]) == (2, 2)


def test_a_report_whose_answer_was_lost_is_counted_once(stats: Stats) -> None:
    stats.counts["/a|b0"] = 3
    again = stats.counts.copy()
    stats.flush()
    stats._numbers = itertools.count(1)  # pylint: disable=protected-access
    stats.counts = again
    stats.flush()
    stats.counts["/a|b0"] = 4
    assert stats.report()["requests"] == 7


def test_a_reader_does_not_wait_for_a_flush_that_hangs(
    stats: Stats, make_stats: Callable[..., Stats], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.stats.FLUSH_WAIT_SECONDS", 0.01)
    other, begun, end = make_stats("two"), threading.Event(), threading.Event()
    other.record("/a", 200, 0.001, "user")
    other.flush()

    def hang(*_: Any) -> None:
        begun.set()
        end.wait(60)

    monkeypatch.setattr(stats, "_add", hang)
    stats.record("/a", 200, 0.001, "user")
    hanging = threading.Thread(target=stats.flush)
    hanging.start()
    begun.wait(60)

    assert stats.report()["requests"] == 1
    end.set()
    hanging.join()


def test_buckets_of_an_instance_with_more_routes_are_merged(
    stats: Stats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.aggregation.duration_limits", lambda: (0.25, 2.5))
    for seconds in (0.001, 0.2, 0.3, 60):
        stats.record("/a", 200, seconds, "user")
    report = stats.report()
    assert report["requests"] == 4
    assert report["latency_ms"]["p50"] == 250.0


def test_waiting_users_take_bounded_memory_and_their_requests_still_count(
    stats: Stats, redis: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.stats.MAX_USERS_WAITING", 10)
    record_in_outage(stats, redis, *(f"user {number}" for number in range(30)))
    report = stats.report()
    assert report["requests"] == 30
    assert report["users"]["5m"] == 10
