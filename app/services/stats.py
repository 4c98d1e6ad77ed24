"""Usage over all instances: requests, errors, latency, users, sessions; no personal data.

Each worker adds what it has counted to Redis twice a second, so a request costs no round trip.
Redis holds numbers by minute and, of users, only HyperLogLogs of keyed hashes, from which no user
can be identified.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from prometheus_client import Metric
from prometheus_client.registry import Collector

from app.config import Settings
from app.redis_client.client import Command, RedisClient, RedisFailure, RedisFull
from app.services import aggregation
from app.services.worker_counts import Report, WorkerCounts
from app.utils import metrics

WINDOW_MINUTES = 5
MINUTE_KEPT_SECONDS = 2 * 3600
TOTAL_KEPT_SECONDS = 30 * 24 * 3600
INSTANCE_SECONDS = 15
# Longer than any outage after which a report is sent again.
REPORT_KEPT_SECONDS = 24 * 3600
# A reader waits no longer for the periodic task: if Redis hangs, that takes seconds.
FLUSH_WAIT_SECONDS = 0.25
# While Redis is unavailable: without a limit, callers with many names could fill the memory.
MAX_USERS_WAITING = 10_000

# Window of users: seconds of a bucket, buckets that make up the window.
USER_WINDOWS = {"5m": (60, 5), "1h": (300, 12), "24h": (3600, 24)}

# Adds counts to two hashes, unless this report or a later one has been added already. The keys: its
# source's, the hashes, and the sorted set of when these three end.
_ADD_REPORT = """
if tonumber(redis.call('GET', KEYS[1]) or 0) >= tonumber(ARGV[1]) then return end
redis.call('SET', KEYS[1], ARGV[1])
for i = 1, 3 do redis.call('ZADD', KEYS[4], ARGV[i + 1], KEYS[i]) end
for i = 5, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 1])
  redis.call('HINCRBY', KEYS[3], ARGV[i], ARGV[i + 1])
end
"""


class Population(NamedTuple):
    """What there is now, over all instances."""

    users: dict[str, int]
    """Different callers by window."""
    sessions: int
    items: int


class StatsService:  # pylint: disable=too-many-instance-attributes
    """Counts what this worker does, and reports what all workers have done."""

    def __init__(
        self,
        settings: Settings,
        redis: RedisClient,
        clock: Callable[[], float] = time.time,
        counts: WorkerCounts | None = None,
    ) -> None:
        self._redis = redis
        self._clock = clock
        self._instance = settings.instance
        self.use_key(settings.secret_key)
        self._counts = counts or WorkerCounts()
        self._flushing = threading.Lock()
        self._users: set[str] = set()
        self._users_lock = threading.Lock()
        self._add_report = redis.script(_ADD_REPORT)
        self._instances_key = redis.key("instances")
        self._total_key = redis.key("stats", "total")

    def use_key(self, secret_key: str) -> None:
        """Hash users with this key from now on. For a day, those seen before count twice."""
        self._hash_key = hashlib.sha256(secret_key.encode()).digest()

    def record_user(self, user: str) -> None:
        """Note a caller by a text that differs between callers; a keyed hash of it is stored."""
        with self._users_lock:
            if len(self._users) < MAX_USERS_WAITING:
                self._users.add(user)

    def flush(self, wait_seconds: float = -1) -> None:
        """Add what was counted since the last time to the numbers in Redis; a periodic task.

        If Redis fails, the counts are kept for the next time.

        Args:
            wait_seconds: how long to wait if another thread does it; without limit if negative.
        """
        # pylint: disable-next=consider-using-with  # it has no timeout
        if not self._flushing.acquire(timeout=wait_seconds):
            return
        try:
            for report in self._counts.reports():
                self._add(report)
        finally:
            self._flushing.release()
        with self._users_lock:
            users, self._users = self._users, set()
        try:
            self._redis.write(*self._additions({self._hash(user) for user in users}))
        except BaseException:
            with self._users_lock:
                self._users |= users
            raise

    def population(self) -> Population:
        """Active users and sessions, and items; may raise `RedisUnavailable`."""
        *users, sessions, items = self._redis.read(
            *(("PFCOUNT", *self._user_keys(window)) for window in USER_WINDOWS),
            ("ZCOUNT", self._redis.key("sessions"), self._clock(), "+inf"),
            ("ZCARD", self._redis.key("items", "index")),
        )
        return Population(dict(zip(USER_WINDOWS, users)), sessions, items)

    def report(self) -> dict[str, Any]:
        """What all instances did in the last minutes; the route's model has its members.

        May raise `RedisUnavailable`.
        """
        self._flush_for_reading()
        now = self._clock()
        minute = int(now // 60)
        *minutes, total, instances = self._redis.read(
            *(("HGETALL", self._minute_key(minute - ago)) for ago in range(WINDOW_MINUTES)),
            ("HGETALL", self._total_key),
            ("ZRANGE", self._instances_key, now - INSTANCE_SECONDS, "+inf", "BYSCORE"),
        )
        window = aggregation.total(minutes)
        seconds = (WINDOW_MINUTES - 1) * 60 + now % 60
        routes = sorted({name.rpartition("|")[0] for name in window} - {"cache"})
        return {
            "window_seconds": round(seconds),
            **aggregation.traffic(window, routes, seconds),
            "endpoints": [
                {"route": route, **aggregation.traffic(window, [route], seconds)}
                for route in routes
            ],
            "total": aggregation.totals(aggregation.total([total])),
            **self.population()._asdict(),
            "cache": aggregation.cache_ratio(window),
            "instances": [name.decode() for name in instances],
        }

    def cache_totals(self) -> dict[str, Any]:
        """Hits, misses and hit ratio since counting began, over all instances."""
        self._flush_for_reading()
        totals = self._redis.read(("HGETALL", self._total_key))
        return aggregation.cache_ratio(aggregation.total(totals))

    def _flush_for_reading(self) -> None:
        """The reader gets the newest counts. A full Redis leaves them for later."""
        with suppress(RedisFull):
            self.flush(FLUSH_WAIT_SECONDS)

    def _hash(self, user: str) -> bytes:
        text = user.encode("utf-8", "replace")
        return hashlib.blake2b(text, digest_size=8, key=self._hash_key).digest()

    def _minute_key(self, minute: int) -> str:
        return self._redis.key("stats", str(minute))

    def _user_keys(self, window: str) -> list[str]:
        """The buckets of a window, the newest first."""
        length, buckets = USER_WINDOWS[window]
        newest = int(self._clock() // length)
        return [self._redis.key("users", window, str(newest - ago)) for ago in range(buckets)]

    def _add(self, report: Report) -> None:
        now = self._clock()
        ends = {
            self._redis.key("report", report.source): REPORT_KEPT_SECONDS,
            self._minute_key(int(now // 60)): MINUTE_KEPT_SECONDS,
            self._total_key: TOTAL_KEPT_SECONDS,
        }
        counts = (word for each in report.counts.items() for word in each)
        self._add_report(
            [*ends, self._redis.ends_key],
            [report.number, *(time.time() + seconds for seconds in ends.values()), *counts],
        )

    def _additions(self, users: set[bytes]) -> Iterator[Command]:
        now = self._clock()
        for window, (length, buckets) in USER_WINDOWS.items() if users else ():
            key = self._user_keys(window)[0]
            yield "PFADD", key, *users
            yield self._redis.ends(key, length * (buckets + 1))
        yield "ZADD", self._instances_key, now, self._instance
        yield "ZREMRANGEBYSCORE", self._instances_key, "-inf", now - INSTANCE_SECONDS
        yield self._redis.ends(self._instances_key, 4 * INSTANCE_SECONDS)


class PopulationCollector(Collector):
    """The gauges that come from Redis; absent, not zero, while Redis is unavailable."""

    def __init__(self, stats: StatsService) -> None:
        self._stats = stats

    def collect(self) -> list[Metric]:
        try:
            population = self._stats.population()
        except RedisFailure:
            return []
        users = {(window,): count for window, count in population.users.items()}
        return [
            metrics.USERS_ACTIVE.family(users),
            metrics.SESSIONS_ACTIVE.family({(): population.sessions}),
            metrics.ITEMS_STORED.family({(): population.items}),
        ]
