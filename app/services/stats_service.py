"""Usage over all instances: requests, errors, latency, users, sessions; no personal data.

Each worker counts in memory and adds its counts to Redis twice a second, in one round trip, so
a request costs no Redis at all. Redis holds numbers by minute and, of users, only HyperLogLogs:
registers from which nobody can be read back, fed with keyed hashes.
"""

import hashlib
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.config import Settings
from app.services.stats_numbers import SEPARATOR, add_up, cache_ratio, totals, traffic
from app.utils.metrics import DURATION_BUCKETS
from app.utils.store import Client, Store, StoreFull, StoreUnavailable

WINDOW_MINUTES = 5
MINUTE_KEPT_SECONDS = 2 * 3600
TOTAL_KEPT_SECONDS = 30 * 24 * 3600
INSTANCE_SECONDS = 15
# While Redis is away; without a limit, callers of many names could fill the memory.
MOST_USERS_WAITING = 10_000

# Window of users: length of a bucket in seconds, buckets that make up the window.
USER_WINDOWS = {"5m": (60, 5), "1h": (300, 12), "24h": (3600, 24)}


@dataclass(frozen=True, slots=True)
class Population:
    """Who and what is there now, over all instances."""

    users: dict[str, int]
    sessions: int
    items: int


@dataclass(slots=True)
class _Counted:
    """What awaits the next flush. A request costs an addition; names and hashes are made then."""

    requests: Counter[tuple[str, int, bool]] = field(default_factory=Counter)
    """By route, bucket of its duration, and whether it has failed."""
    looks: Counter[bool] = field(default_factory=Counter)
    """Into the cache, by whether they found anything."""
    users: set[str] = field(default_factory=set)

    def named(self) -> Counter[str]:
        """The counts under the names that they have in Redis; see stats_numbers.py."""
        counts: Counter[str] = Counter()
        for (route, bucket, failed), count in self.requests.items():
            counts[f"{route}{SEPARATOR}b{bucket}"] += count
            if failed:
                counts[f"{route}{SEPARATOR}errors"] += count
        for hit, count in self.looks.items():
            counts[f"cache{SEPARATOR}{'hits' if hit else 'misses'}"] += count
        return counts


class StatsService:
    """Counts what this worker does and reads what all of them have done."""

    def __init__(
        self, settings: Settings, store: Store, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._clock = clock
        self._instance = settings.instance
        self._hash_key = hashlib.sha256(settings.secret_key.encode()).digest()
        self._lock = threading.Lock()
        self._counted = _Counted()

    def record(self, route: str, status: int, seconds: float, user: str) -> None:
        """Count one request.

        Args:
            route: the URL rule it matched.
            status: the HTTP status it was answered with.
            seconds: how long that took.
            user: whatever tells this caller from others, of which only a keyed hash is kept;
                empty for callers that are no users, such as probes.
        """
        bucket = bisect_left(DURATION_BUCKETS, seconds)
        with self._lock:
            self._counted.requests[route, bucket, status >= 500] += 1
            if user and len(self._counted.users) < MOST_USERS_WAITING:
                self._counted.users.add(user)

    def record_cache(self, hit: bool) -> None:
        """Count one look into the cache."""
        with self._lock:
            self._counted.looks[hit] += 1

    def flush(self) -> None:
        """Add what was counted since the last time to the numbers of all.

        Raises:
            StoreUnavailable: no count is lost; they wait for the next time.
        """
        with self._lock:
            taken, self._counted = self._counted, _Counted()
        try:
            users = {self._hash(user) for user in taken.users}
            self._store.run(lambda redis: self._add(redis, taken.named(), users))
        except BaseException:
            with self._lock:
                self._counted.requests += taken.requests
                self._counted.looks += taken.looks
                self._counted.users |= taken.users
            raise

    def _hash(self, user: str) -> bytes:
        text = user.encode("utf-8", "replace")
        return hashlib.blake2b(text, digest_size=8, key=self._hash_key).digest()

    def population(self) -> Population:
        """Active users and sessions, and items.

        Raises:
            StoreUnavailable: Redis is away.
        """

        def read(redis: Client) -> list[Any]:
            pipeline = redis.pipeline(transaction=False)
            for window in USER_WINDOWS:
                pipeline.pfcount(*self._user_keys(window))
            pipeline.zcount(self._store.key("sessions"), self._clock(), "+inf")
            pipeline.zcard(self._store.key("items", "index"))
            return pipeline.execute()

        *users, sessions, items = self._store.run(read)
        return Population(dict(zip(USER_WINDOWS, users)), sessions, items)

    def report(self) -> dict[str, Any]:
        """What all instances did in the last minutes; see the route's model for its members.

        Raises:
            StoreUnavailable: Redis is away.
        """
        self._hand_in()
        now = self._clock()
        minute = int(now // 60)

        def read(redis: Client) -> list[Any]:
            pipeline = redis.pipeline(transaction=False)
            for ago in range(WINDOW_MINUTES):
                pipeline.hgetall(self._minute_key(minute - ago))
            pipeline.hgetall(self._store.key("stats", "total"))
            pipeline.zrange(self._instances_key, now - INSTANCE_SECONDS, "+inf", byscore=True)
            return pipeline.execute()

        *minutes, total, instances = self._store.run(read)
        window = add_up(minutes)
        seconds = (WINDOW_MINUTES - 1) * 60 + now % 60
        population = self.population()
        routes = sorted({name.rpartition(SEPARATOR)[0] for name in window} - {"cache"})
        return {
            "window_seconds": round(seconds),
            **traffic(window, routes, seconds),
            "endpoints": [
                {"route": route, **traffic(window, [route], seconds)} for route in routes
            ],
            "total": totals(add_up([total])),
            "users": population.users,
            "sessions": population.sessions,
            "items": population.items,
            "cache": cache_ratio(window),
            "instances": [name.decode() for name in instances],
        }

    def cache_totals(self) -> dict[str, Any]:
        """Hits, misses and their ratio since counting began, over all instances."""
        self._hand_in()

        def read(redis: Client) -> Any:
            return redis.hgetall(self._store.key("stats", "total"))

        return cache_ratio(add_up([self._store.run(read)]))

    def _hand_in(self) -> None:
        """So that a reader finds the newest counts; a full store leaves them for later."""
        with suppress(StoreFull):
            self.flush()

    @property
    def _instances_key(self) -> str:
        return self._store.key("instances")

    def _minute_key(self, minute: int) -> str:
        return self._store.key("stats", str(minute))

    def _user_key(self, window: str, bucket: int) -> str:
        return self._store.key("users", window, str(bucket))

    def _user_keys(self, window: str) -> list[str]:
        length, buckets = USER_WINDOWS[window]
        newest = int(self._clock() // length)
        return [self._user_key(window, newest - ago) for ago in range(buckets)]

    def _add(self, redis: Client, counts: Counter[str], users: set[bytes]) -> None:
        now = self._clock()
        pipeline = redis.pipeline()
        kept = (
            (self._minute_key(int(now // 60)), MINUTE_KEPT_SECONDS),
            (self._store.key("stats", "total"), TOTAL_KEPT_SECONDS),
        )
        for key, seconds in kept if counts else ():
            for name, count in counts.items():
                pipeline.hincrby(key, name, count)
            pipeline.expire(key, seconds)
        for window, (length, buckets) in USER_WINDOWS.items() if users else ():
            key = self._user_key(window, int(now // length))
            pipeline.pfadd(key, *users)
            pipeline.expire(key, length * (buckets + 1))
        pipeline.zadd(self._instances_key, {self._instance: now})
        pipeline.zremrangebyscore(self._instances_key, "-inf", now - INSTANCE_SECONDS)
        pipeline.expire(self._instances_key, 4 * INSTANCE_SECONDS)
        pipeline.execute()


class PopulationCollector(Collector):
    """The gauges that Redis knows for all instances; absent, not zero, while Redis is away."""

    def __init__(self, stats: StatsService) -> None:
        self._stats = stats

    def collect(self) -> list[Metric]:
        """The families, read now."""
        try:
            population = self._stats.population()
        except StoreUnavailable:
            return []
        users = GaugeMetricFamily("users_active", "Different callers seen.", labels=["window"])
        for window, count in population.users.items():
            users.add_metric([window], count)
        sessions = GaugeMetricFamily(
            "sessions_active", "Sessions not yet ended.", value=population.sessions
        )
        items = GaugeMetricFamily("items_stored", "Items kept.", value=population.items)
        return [users, sessions, items]
