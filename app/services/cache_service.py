"""The cache: JSON values in Redis, computed once, refreshed early, never in the way.

Redis away means that reads miss and writes are dropped and counted; no caller gets an error.

The steps against a stampede:
- callers in one process that miss the same key share one computation (`SingleFlight`);
- across processes, a short-lived lock in Redis lets one compute while the others wait for its
  value (`_compute_once`);
- a value in the last tenth of its life is refreshed by one caller, who takes the same lock,
  while the rest go on being served;
- times to live carry jitter, so that values stored together do not end together.
"""

import functools
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from app.config import Settings
from app.services.cache_entries import CacheEntries
from app.services.local_layer import Entry, LocalLayer
from app.services.single_flight import SingleFlight
from app.utils import jsonio, metrics
from app.utils.store import Store, StoreFull, StoreUnavailable

P = ParamSpec("P")
R = TypeVar("R")

REFRESH_FRACTION = 0.1
JITTER_FRACTION = 0.1
POLL_SECONDS = 0.02
COMPUTE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A value and where it came from."""

    value: Any
    result: str
    """`HIT`, `MISS` (computed now) or `BYPASS` (computed now and not kept)."""


class CacheService(CacheEntries):
    """See the module's text; one object serves all threads of a process."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        observe: Callable[[bool], None] = lambda hit: None,
    ) -> None:
        super().__init__(store, observe, LocalLayer(settings.cache_local_ms))
        self._default_ttl = settings.cache_ttl_default
        self._max_ttl = settings.cache_ttl_max
        self._flights = SingleFlight()

    def get(self, key: str, default: Any = None) -> Any:
        """The value under `key`, or `default` when there is none or Redis is away."""
        try:
            entry = self.lookup(key)
        except StoreUnavailable:
            return default
        return default if entry is None else entry.value

    def set(self, key: str, value: Any, ttl: float | None = None) -> bool:
        """Keep a JSON value.

        Args:
            key: its name within the cache.
            value: anything JSON can say.
            ttl: seconds to keep it; the setting's default unless given, its maximum at most.

        Returns:
            Whether it is kept; False when Redis is away or full, which is counted, not raised.
        """
        try:
            self.replace(key, jsonio.dumps(value), self._milliseconds(ttl))
        except (StoreUnavailable, StoreFull):
            return False
        return True

    def delete(self, key: str) -> bool:
        """Forget `key`.

        Returns:
            Whether it was there; False also when Redis is away, which is counted.
        """
        try:
            return bool(self._counted("delete", lambda: self._remove(key)))
        except StoreUnavailable:
            metrics.CACHE_WRITES_DROPPED.inc()
            return False

    def get_or_set(self, key: str, ttl: float | None, compute: Callable[[], Any]) -> Any:
        """The value under `key`; a miss calls `compute`, once among all concurrent callers.

        Args:
            key: name within the cache.
            ttl: seconds to keep a computed value, less up to a tenth of jitter.
            compute: makes the value; its exception reaches every caller that waits for it. After
                `COMPUTE_SECONDS` its lock runs out and another process may compute as well.
        """
        return self.fetch(key, ttl, compute).value

    def cached(
        self, ttl: float | None = None, key: str | Callable[..., str] | None = None
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a function so that its results, which must be JSON values, are cached.

        Args:
            ttl: seconds; see `get_or_set`.
            key: the key, or a function of the arguments that makes it; by default the
                function's qualified name and its arguments.
        """

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            @functools.wraps(function)
            def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
                if callable(key):
                    name = key(*args, **kwargs)
                else:
                    name = key or _call_key(function, args, kwargs)
                result: R = self.get_or_set(name, ttl, lambda: function(*args, **kwargs))
                return result

            return wrapper

        return decorate

    def fetch(self, key: str, ttl: float | None, compute: Callable[[], Any]) -> Fetched:
        """As `get_or_set`, and tells where the value came from."""
        try:
            entry = self._read(key, "get_or_set")
        except StoreUnavailable:
            return self._share(key, lambda: Fetched(compute(), "BYPASS"))
        if entry is None:
            return self._share(key, lambda: self._compute_once(key, ttl, compute))
        if self._near_its_end(entry, ttl):
            return self._refresh(key, ttl, compute, entry)
        return Fetched(entry.value, "HIT")

    def _near_its_end(self, entry: Entry, ttl: float | None) -> bool:
        return entry.ttl_ms < REFRESH_FRACTION * self._milliseconds(ttl)

    def _milliseconds(self, ttl: float | None) -> int:
        seconds = self._default_ttl if ttl is None else min(ttl, self._max_ttl)
        if seconds <= 0:
            raise ValueError(f"a cache entry needs a time to live above 0 s, not {ttl}")
        return max(1, int(seconds * 1000))

    def _share(self, key: str, fetch: Callable[[], Fetched]) -> Fetched:
        fetched: Fetched = self._flights.share(key, fetch)
        return fetched

    def _refresh(
        self, key: str, ttl: float | None, compute: Callable[[], Any], entry: Entry
    ) -> Fetched:
        """One caller makes a new value before the old one ends; the rest take the old one."""
        token = secrets.token_hex(8)
        try:
            locked, latest = self._lock_or_read(key, token, COMPUTE_SECONDS)
        except (StoreUnavailable, StoreFull):
            locked, latest = False, None
        if not locked:
            return Fetched(entry.value, "HIT")
        if latest is not None and not self._near_its_end(latest, ttl):
            self._unlock(key, token)  # another has made it anew since the entry was read
            return Fetched(latest.value, "HIT")
        return self._compute_locked(key, ttl, compute, token)

    def _compute_once(self, key: str, ttl: float | None, compute: Callable[[], Any]) -> Fetched:
        """Compute, unless another process does already: then wait for its value."""
        token = secrets.token_hex(8)
        give_up_at = time.monotonic() + COMPUTE_SECONDS
        while time.monotonic() < give_up_at:
            try:
                locked, entry = self._lock_or_read(key, token, COMPUTE_SECONDS)
            except (StoreUnavailable, StoreFull):
                break
            if entry is not None:
                if locked:
                    self._unlock(key, token)
                return Fetched(entry.value, "HIT")
            if locked:
                return self._compute_locked(key, ttl, compute, token)
            time.sleep(POLL_SECONDS)
        return Fetched(compute(), "BYPASS")

    def _compute_locked(
        self, key: str, ttl: float | None, compute: Callable[[], Any], token: str
    ) -> Fetched:
        try:
            value = compute()
            jitter = 1 - JITTER_FRACTION * random.random()  # no secret  # nosec B311
            kept = self.set(key, value, self._milliseconds(ttl) * jitter / 1000)
            return Fetched(value, "MISS" if kept else "BYPASS")
        finally:
            self._unlock(key, token)


def _call_key(function: Callable[..., Any], args: Any, kwargs: Any) -> str:
    arguments = repr((args, sorted(kwargs.items())))
    return f"{function.__module__}.{function.__qualname__}:{arguments}"
