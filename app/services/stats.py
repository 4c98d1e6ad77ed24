"""Usage over all instances: requests, errors, latency, users, sessions; no personal data.

Each worker counts in memory and adds its counts to Redis twice a second, in one round trip, so a
request costs no round trip. Redis holds numbers by minute and, of users, only HyperLogLogs of keyed
hashes, from which no user can be identified.
"""

import hashlib
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from prometheus_client import Metric
from prometheus_client.registry import Collector

from app.config import Settings
from app.redis_client.client import Command, RedisClient, RedisFailure, RedisFull
from app.services import aggregation
from app.utils import metrics
from app.utils.metrics import DURATION_BUCKETS

WINDOW_MINUTES = 5
MINUTE_KEPT_SECONDS = 2 * 3600
TOTAL_KEPT_SECONDS = 30 * 24 * 3600
INSTANCE_SECONDS = 15
# While Redis is unavailable: without a limit, callers with many names could fill the memory.
MAX_USERS_WAITING = 10_000

# Window of users: seconds of a bucket, buckets that make up the window.
USER_WINDOWS = {"5m": (60, 5), "1h": (300, 12), "24h": (3600, 24)}


class Population(NamedTuple):
    """What there is now, over all instances."""

    users: dict[str, int]
    """Different callers by window."""
    sessions: int
    items: int


@dataclass(slots=True)
class _Counts:
    """What is added to Redis next."""

    requests: Counter[tuple[str, int, bool]] = field(default_factory=Counter)
    """By route, bucket of the duration, and whether the request failed."""
    lookups: Counter[bool] = field(default_factory=Counter)
    """Of the cache, by whether they found an entry."""
    users: set[str] = field(default_factory=set)

    def by_name(self) -> Counter[str]:
        """The counts under their names in Redis; see aggregation.py."""
        counts: Counter[str] = Counter()
        for (route, bucket, failed), count in self.requests.items():
            counts[f"{route}|b{bucket}"] += count
            if failed:
                counts[f"{route}|errors"] += count
        for hit, count in self.lookups.items():
            counts["cache|hits" if hit else "cache|misses"] += count
        return counts


class StatsService:  # pylint: disable=too-many-instance-attributes
    """Counts what this worker does, and reports what all workers have done."""

    def __init__(
        self, settings: Settings, redis: RedisClient, clock: Callable[[], float] = time.time
    ) -> None:
        self._redis = redis
        self._clock = clock
        self._instance = settings.instance
        self._hash_key = hashlib.sha256(settings.secret_key.encode()).digest()
        self._lock = threading.Lock()
        self._counts = _Counts()
        self._instances_key = redis.key("instances")
        self._total_key = redis.key("stats", "total")

    def record(self, route: str, status: int, seconds: float, user: str) -> None:
        """Count one request.

        Args:
            route: the URL rule that it matched.
            status: its HTTP status.
            seconds: its duration.
            user: a text that differs between callers, of which only a keyed hash is stored; empty
                for callers that are not users, such as probes.
        """
        bucket = bisect_left(DURATION_BUCKETS, seconds)
        with self._lock:
            self._counts.requests[route, bucket, status >= 500] += 1
            if user and len(self._counts.users) < MAX_USERS_WAITING:
                self._counts.users.add(user)

    def record_lookup(self, hit: bool) -> None:
        """Count one lookup of the cache."""
        with self._lock:
            self._counts.lookups[hit] += 1

    def flush(self) -> None:
        """Add what was counted since the last time to the numbers in Redis; a periodic task.

        If Redis fails, the counts are kept for the next time.
        """
        with self._lock:
            taken, self._counts = self._counts, _Counts()
        try:
            users = {self._hash(user) for user in taken.users}
            self._redis.write(*self._additions(taken.by_name(), users))
        except BaseException:
            with self._lock:
                self._counts.requests += taken.requests
                self._counts.lookups += taken.lookups
                self._counts.users |= taken.users
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
            self.flush()

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

    def _additions(self, counts: Counter[str], users: set[bytes]) -> Iterator[Command]:
        now = self._clock()
        hashes = (
            (self._minute_key(int(now // 60)), MINUTE_KEPT_SECONDS),
            (self._total_key, TOTAL_KEPT_SECONDS),
        )
        for key, seconds in hashes if counts else ():
            for name, count in counts.items():
                yield "HINCRBY", key, name, count
            yield self._redis.ends(key, seconds)
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
