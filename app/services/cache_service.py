"""The cache: JSON values in Redis, computed once and refreshed early.

While Redis is unavailable, reads miss and writes are dropped and counted; no caller gets an error.
docs/CACHE.md shows how to use it. These steps keep many callers from computing one value at once:
- callers in one process that miss the same key share one computation (`SingleFlight`);
- across processes, the holder of a lock in Redis computes and the others wait for its value;
- in the last tenth of an entry's life the holder of the same lock refreshes it, while the others
  still get the old value;
- the time to live varies by a tenth, so that entries stored together do not end together.
"""

import functools
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, Self, TypeVar

import orjson

from app.config import Settings
from app.redis_client.client import RedisClient, RedisFailure
from app.services.single_flight import SingleFlight
from app.utils import metrics, tracing

P = ParamSpec("P")
R = TypeVar("R")

REFRESH_FRACTION = 0.1
JITTER_FRACTION = 0.1
POLL_SECONDS = 0.02
COMPUTE_SECONDS = 10.0
MAX_KEYS_SCANNED = 10_000

# Delete the lock only if it is this caller's: it may have expired and be another caller's now.
_UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"

# Store or delete, if asked only when the entry is still the one that the caller has seen.
# ARGV: whether to compare, payload seen ('' for no entry), new payload, milliseconds (0: delete).
_REPLACE = """
local current = redis.call('GET', KEYS[1]) or ''
if ARGV[1] == '1' and current ~= ARGV[2] then return 0 end
if ARGV[4] == '0' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return 1
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A cached value as it is stored."""

    payload: bytes
    """The value as JSON."""
    ends_at: float
    """Monotonic seconds."""
    read_at: float
    """Monotonic seconds: when Redis was asked for it."""

    @property
    def value(self) -> Any:
        return orjson.loads(self.payload)

    def ttl_seconds(self) -> float:
        return max(0.0, self.ends_at - time.monotonic())


@dataclass(frozen=True, slots=True)
class Fetched:
    """A value and where it came from."""

    value: Any
    result: str
    """`HIT`, `MISS` (computed now) or `BYPASS` (computed now and not stored)."""


class CacheService:  # pylint: disable=too-many-instance-attributes
    """Reads, writes and computes entries; one object serves all threads of a process.

    Args:
        redis: the client that gives up soon; without its Redis there is no error.
        data: the client for `peek` and `replace`, whose caller gets an error and so may wait
            longer; the same by default.
    """

    def __init__(
        self, settings: Settings, redis: RedisClient, data: RedisClient | None = None
    ) -> None:
        self._redis = redis
        self._data = data or redis
        self._default_ttl = settings.cache_ttl_default
        self._max_ttl = settings.cache_ttl_max
        self._wait_seconds = settings.redis_timeout_ms / 1000
        self._traces = bool(settings.traces_url)
        self._in_process = InProcessCache(settings.cache_local_ms / 1000)
        self._flights: SingleFlight[Fetched] = SingleFlight()
        self._replace = redis.script(_REPLACE)
        self._replace_data = self._data.script(_REPLACE)
        self._unlock_script = redis.script(_UNLOCK)

    def lookup(self, key: str, count_as: str = "get") -> Entry | None:
        """The entry under `key`, for callers that must tell a miss from a `RedisFailure`."""
        entry = self._in_process.get(key)
        if entry is not None:
            metrics.CACHE_RESULTS[count_as, "hit"].inc()
        else:
            with _Operation(count_as) as operation:
                entry = self._read(self._redis, key)
                operation.hit = entry is not None
            if entry is not None:
                self._in_process.put(key, entry)
        if self._traces:
            tracing.annotate("cache.hit", entry is not None)
        return entry

    def get(self, key: str, default: Any = None) -> Any:
        """The value under `key`, or `default` when there is none or Redis is unavailable."""
        try:
            entry = self.lookup(key)
        except RedisFailure:
            return default
        return default if entry is None else entry.value

    def set(self, key: str, value: Any, ttl: float | None = None) -> bool:
        """Store a JSON value.

        Args:
            key: its name within the cache.
            value: anything that JSON can represent.
            ttl: seconds to keep it; the default and the maximum come from the settings.

        Returns:
            Whether it is stored. A loss, because Redis is unavailable or full, is counted.
        """
        try:
            arguments = [0, b"", orjson.dumps(value), _milliseconds(self._seconds(ttl))]
            return self._change("set", self._replace, key, arguments)
        except RedisFailure:
            return False

    def delete(self, key: str) -> bool:
        """Delete the entry under `key`; whether there was one and Redis could delete it."""
        try:
            with _Operation("delete") as operation:
                operation.hit = bool(self._redis.write(("DEL", self._key(key)))[0])
        except RedisFailure:
            return False
        self._in_process.discard(key)
        return operation.hit

    def get_or_set(self, key: str, ttl: float | None, compute: Callable[[], Any]) -> Any:
        """The value under `key`; a miss calls `compute`, once among all concurrent callers.

        Args:
            key: name within the cache.
            ttl: seconds to keep a computed value, less up to a tenth.
            compute: makes the value. Its exception reaches every caller that waits for it. After
                `COMPUTE_SECONDS` its lock expires and another process may compute as well.
        """
        return self.fetch(key, ttl, compute).value

    def cached(
        self, ttl: float | None = None, key: str | Callable[..., str] | None = None
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a function so that its results, which must be JSON values, are cached.

        Args:
            ttl: seconds; see `get_or_set`.
            key: the key, or a function of the arguments that returns it; by default the function's
                qualified name and its arguments.
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
        seconds = self._seconds(ttl)
        try:
            entry = self.lookup(key, "get_or_set")
        except RedisFailure:
            return self._flights.share(key, lambda: Fetched(compute(), "BYPASS"))
        if entry is None:
            return self._flights.share(key, lambda: self._compute_once(key, seconds, compute))
        if entry.ttl_seconds() < REFRESH_FRACTION * seconds:
            return self._refresh(key, seconds, compute, entry)
        return Fetched(entry.value, "HIT")

    def peek(self, key: str) -> Entry | None:
        """As `lookup`, for a writer's preconditions: not counted, and may wait longer."""
        return self._read(self._data, key)

    def replace(
        self,
        key: str,
        payload: bytes | None,
        ttl_seconds: float = 0.0,
        *,
        seen: Entry | None = None,
        conditional: bool = False,
    ) -> bool:
        """Store or delete an entry, if asked only when it is still the one that was seen.

        Args:
            key: name within the cache.
            payload: the new value as JSON; None deletes.
            ttl_seconds: how long to keep it, exactly.
            seen: the entry that the caller has seen, None for no entry.
            conditional: whether the entry must still be `seen`.

        Returns:
            False if it is not, or if there was nothing to delete.

        Raises:
            RedisFailure: nothing was stored; the loss is counted.
        """
        expected = [int(conditional), seen.payload if seen else b""]
        change = [b"", 0] if payload is None else [payload, _milliseconds(ttl_seconds)]
        name = "delete" if payload is None else "set"
        return self._change(name, self._replace_data, key, [*expected, *change])

    def key_count(self, prefix: str) -> tuple[int, bool]:
        """The number of entries whose key starts with `prefix`, and whether all were counted.

        Redis looks at a thousand keys of any name at a time, so counting stops after
        `MAX_KEYS_SCANNED`.
        """
        pattern, count, cursor = self._key(prefix) + "*", 0, 0
        for _ in range(0, MAX_KEYS_SCANNED, 1000):
            answer = self._redis.read(("SCAN", cursor, "MATCH", pattern, "COUNT", 1000))[0]
            cursor = int(answer[0])
            count += len(answer[1])
            if not cursor:
                break
        return count, not cursor

    def memory_bytes(self) -> int | None:
        """Bytes that Redis uses in all; None for the embedded store, which cannot tell."""
        if self._redis.embedded:
            return None
        return int(self._redis.run(lambda redis: redis.info("memory"), "INFO")["used_memory"])

    def _read(self, redis: RedisClient, key: str) -> Entry | None:
        read_at = time.monotonic()
        name = self._key(key)
        payload, ttl_ms = redis.read(("GET", name), ("PTTL", name))
        return None if payload is None else Entry(payload, read_at + ttl_ms / 1000, read_at)

    def _change(
        self, name: str, script: Callable[[list[str], list[Any]], Any], key: str, args: list[Any]
    ) -> bool:
        with _Operation(name) as operation:
            operation.hit = bool(script([self._key(key)], args))
        self._in_process.discard(key)
        return operation.hit

    def _refresh(
        self, key: str, seconds: float, compute: Callable[[], Any], entry: Entry
    ) -> Fetched:
        """One caller computes a new value before the old one ends; the others get the old one."""
        token = secrets.token_hex(8)
        try:
            locked, latest = self._lock_and_read(key, token)
        except RedisFailure:
            locked, latest = False, None
        if not locked:
            return Fetched(entry.value, "HIT")
        if latest is not None and latest.ttl_seconds() >= REFRESH_FRACTION * seconds:
            self._unlock(key, token)  # another caller has refreshed it since it was read
            return Fetched(latest.value, "HIT")
        return self._compute_locked(key, seconds, compute, token)

    def _compute_once(self, key: str, seconds: float, compute: Callable[[], Any]) -> Fetched:
        """Compute, unless another process already does: then wait for its value.

        Nobody may be computing although the lock is taken, so a caller waits as long as it may for
        the cache, and then computes as well.
        """
        token = secrets.token_hex(8)
        try:
            locked, entry = self._lock_or_entry(key, token)
        except RedisFailure:
            return Fetched(compute(), "BYPASS")
        if entry is not None:
            if locked:
                self._unlock(key, token)
            return Fetched(entry.value, "HIT")
        if locked:
            return self._compute_locked(key, seconds, compute, token)
        return self._compute_and_store(key, seconds, compute)

    def _lock_or_entry(self, key: str, token: str) -> tuple[bool, Entry | None]:
        """Wait for the key's lock or its entry; neither, if both take too long."""
        give_up_at = time.monotonic() + self._wait_seconds
        locked, entry = self._lock_and_read(key, token)
        if locked or entry is not None:
            return locked, entry
        with tracing.span("wait for another worker's value"):
            while not locked and entry is None and time.monotonic() < give_up_at:
                time.sleep(POLL_SECONDS)
                locked, entry = self._lock_and_read(key, token)
        return locked, entry

    def _compute_locked(
        self, key: str, seconds: float, compute: Callable[[], Any], token: str
    ) -> Fetched:
        try:
            return self._compute_and_store(key, seconds, compute)
        finally:
            self._unlock(key, token)

    def _compute_and_store(self, key: str, seconds: float, compute: Callable[[], Any]) -> Fetched:
        value = compute()
        jitter = 1 - JITTER_FRACTION * random.random()  # not a secret  # nosec B311
        stored = self.set(key, value, seconds * jitter)
        return Fetched(value, "MISS" if stored else "BYPASS")

    def _lock_and_read(self, key: str, token: str) -> tuple[bool, Entry | None]:
        """Try to take the key's lock and read its entry, in one round trip."""
        read_at = time.monotonic()
        lock, name = self._redis.key("lock", key), self._key(key)
        locked, payload, ttl_ms = self._redis.write(
            ("SET", lock, token, "NX", "PX", int(COMPUTE_SECONDS * 1000)),
            ("GET", name),
            ("PTTL", name),
        )
        entry = None if payload is None else Entry(payload, read_at + ttl_ms / 1000, read_at)
        return bool(locked), entry

    def _unlock(self, key: str, token: str) -> None:
        try:
            self._unlock_script([self._redis.key("lock", key)], [token])
        except RedisFailure:
            pass  # it expires by itself

    def _seconds(self, ttl: float | None) -> float:
        seconds = self._default_ttl if ttl is None else min(ttl, self._max_ttl)
        if seconds <= 0:
            raise ValueError(f"a cache entry needs a time to live above 0 s, not {ttl}")
        return seconds

    def _key(self, key: str) -> str:
        return self._redis.key("cache", key)


class InProcessCache:
    """Entries in this process's memory, for a moment: the setting `CACHE_LOCAL_MS`.

    An entry is served for at most `keep_seconds` after Redis was asked for it, so a value is never
    older than that, whatever other workers have changed. Threads may use it without a lock.
    """

    MAX_ENTRIES = 1024
    MAX_BYTES = 16_384  # of one entry, so that all together stay below 16 MiB

    def __init__(self, keep_seconds: float) -> None:
        self._keep_seconds = keep_seconds
        self._entries: dict[str, Entry] = {}
        self._changed_at = float("-inf")

    def get(self, key: str) -> Entry | None:
        """The entry, if it is stored and still fresh."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        now = time.monotonic()
        return entry if now < min(entry.ends_at, entry.read_at + self._keep_seconds) else None

    def put(self, key: str, entry: Entry) -> None:
        """Store an entry that was read from Redis."""
        if not self._keep_seconds or len(entry.payload) > self.MAX_BYTES:
            return
        if len(self._entries) >= self.MAX_ENTRIES:
            self._entries.clear()  # entries in use are back at once
        self._entries[key] = entry
        if entry.read_at <= self._changed_at:  # this entry may have been changed since it was read
            self._entries.pop(key, None)

    def discard(self, key: str) -> None:
        """Called when this process has changed the entry."""
        self._changed_at = time.monotonic()
        self._entries.pop(key, None)


class _Operation:
    """Times one operation on Redis and counts its result."""

    __slots__ = ("_name", "_started", "hit")

    def __init__(self, name: str) -> None:
        self._name = name
        self.hit = False
        self._started = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> None:
        metrics.CACHE_DURATIONS[self._name].observe(time.perf_counter() - self._started)
        result = "hit" if self.hit else "miss"
        if error is not None:
            tried = not isinstance(error, RedisFailure) or error.tried
            result = "error" if tried else "bypass"
            if self._name in ("set", "delete"):
                metrics.CACHE_WRITES_DROPPED.inc()
        metrics.CACHE_RESULTS[self._name, result].inc()


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def _call_key(function: Callable[..., Any], args: Any, kwargs: Any) -> str:
    arguments = repr((args, sorted(kwargs.items())))
    return f"{function.__module__}.{function.__qualname__}:{arguments}"
