"""Faults on demand: errors and latency that every worker of every instance adds, for a while.

The setting is in Redis. Each worker reads it twice a second, so a request pays nothing while no
fault is set.
"""

import random
import time
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase

import orjson

from app.redis_client.client import RedisClient

# An operator must still be able to see the service and to end the fault.
EXEMPT = ("/health", "/metrics", "/api/v1/demo/faults", "/static/")


@dataclass(frozen=True, slots=True)
class Fault:
    error_rate: float
    """Share of requests that fail, from 0 to 1."""
    latency_ms: int
    """Milliseconds added to each request."""
    route: str
    """Pattern of paths that it applies to; `*` matches anything."""


class FaultService:
    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._key = redis.key("fault")
        self._fault: Fault | None = None
        self._ends_at = 0.0

    def set(self, fault: Fault, seconds: int) -> None:
        """Put `fault` in force for `seconds` seconds, in place of any other."""
        payload = orjson.dumps(asdict(fault))
        self._redis.write(("SET", self._key, payload), self._redis.ends(self._key, seconds))
        self._fault, self._ends_at = fault, time.time() + seconds

    def clear(self) -> None:
        self._redis.write(("DEL", self._key))
        self._fault = None

    def read(self) -> tuple[Fault, float] | None:
        """The fault in force and the seconds until it ends, from Redis."""
        payload, ends_at = self._redis.read(
            ("GET", self._key), ("ZSCORE", self._redis.ends_key, self._key)
        )
        seconds = float(ends_at or 0) - time.time()
        return (Fault(**orjson.loads(payload)), seconds) if payload and seconds > 0 else None

    def refresh(self) -> None:
        """Read the fault; a periodic task."""
        self._fault, seconds = self.read() or (None, 0.0)
        self._ends_at = time.time() + seconds

    def should_fail(self, path: str) -> bool:
        """Add the latency that is set for a path, and tell whether its request must fail."""
        fault = self._fault
        if fault is None or time.time() >= self._ends_at or path.startswith(EXEMPT):
            return False
        if not fnmatchcase(path, fault.route):
            return False
        time.sleep(fault.latency_ms / 1000)
        return random.random() < fault.error_rate  # not a secret  # nosec B311
