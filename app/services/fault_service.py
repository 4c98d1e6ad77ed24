"""Faults on demand: errors and latency that every worker of every instance puts in, for a while.

The setting lives in Redis and ends there by itself; each worker looks at it twice a second, so a
request pays nothing while no fault is set.
"""

import random
import time
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

import orjson

from app.utils.store import Client, Store

# Whoever breaks the service must still be able to see it and to mend it.
SPARED = ("/health", "/metrics", "/api/v1/demo/faults", "/static/")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is to go wrong."""

    error_rate: float
    """Share of requests that fail, from 0 to 1."""
    latency_ms: int
    """Milliseconds added to each request."""
    route: str
    """Pattern of paths it applies to; `*` stands for anything."""


class FaultService:
    """Sets, shows, ends and answers for the fault in force."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = store.key("fault")
        self._fault: Fault | None = None
        self._ends = 0.0

    def set(self, fault: Fault, seconds: int) -> None:
        """Put `fault` in force for `seconds` seconds, in place of any other."""
        body = orjson.dumps(asdict(fault))
        self._store.run(lambda redis: redis.set(self._key, body, ex=seconds))
        self._fault, self._ends = fault, time.monotonic() + seconds

    def clear(self) -> None:
        """End the fault, if there is one."""
        self._store.run(lambda redis: redis.delete(self._key))
        self._fault = None

    def read(self) -> tuple[Fault, float] | None:
        """The fault in force and the seconds it has left, as Redis has it."""

        def get(redis: Client) -> list[Any]:
            pipeline = redis.pipeline(transaction=False)
            pipeline.get(self._key)
            pipeline.pttl(self._key)
            return pipeline.execute()

        body, left_ms = self._store.run(get)
        return (Fault(**orjson.loads(body)), left_ms / 1000) if body else None

    def refresh(self) -> None:
        """Take over what Redis has; the ticker's chore."""
        found = self.read()
        if found is None:
            self._fault = None
        else:
            self._ends = time.monotonic() + found[1]
            self._fault = found[0]

    @property
    def active(self) -> bool:
        """Whether a fault may be in force."""
        return self._fault is not None

    def strikes(self, path: str) -> bool:
        """Add the latency that is due to a request, and say whether it must fail.

        Args:
            path: the request's path.
        """
        fault = self._fault
        if fault is None or time.monotonic() >= self._ends or path.startswith(SPARED):
            return False
        if not fnmatchcase(path, fault.route):
            return False
        time.sleep(fault.latency_ms / 1000)
        return random.random() < fault.error_rate  # dice, no secret  # nosec B311
