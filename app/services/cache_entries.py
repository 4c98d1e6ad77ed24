"""Cache entries as Redis holds them: JSON texts under a namespaced key, always with an end.

These are the steps, each counted and one round trip; cache_service.py says what they are for.
"""

import time
from collections.abc import Callable
from typing import Any

from app.services.local_layer import Entry, LocalLayer
from app.utils import metrics
from app.utils.store import Client, Store, StoreFull, StoreUnavailable

# Delete the lock only if it is still ours: it may have run out and gone to somebody else.
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"

# Store or delete only if the entry is still what the caller has seen ('' stands for none).
_COMPARE_AND_SET = """
local current = redis.call('GET', KEYS[1]) or ''
if ARGV[1] == '1' and current ~= ARGV[2] then return 0 end
if ARGV[4] == '0' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4]) end
return 1
"""


class CacheEntries:
    """Reads, writes and locks entries.

    Args:
        store: the way to Redis.
        observe: told of every look into the cache, whether it found anything.
        local: answers for Redis for a moment.
    """

    def __init__(self, store: Store, observe: Callable[[bool], None], local: LocalLayer) -> None:
        self._store = store
        self._local = local
        self._observe = observe
        self._release = store.script(_RELEASE)
        self._compare_and_set = store.script(_COMPARE_AND_SET)

    def lookup(self, key: str) -> Entry | None:
        """The entry under `key`, for callers that must tell a miss from an outage.

        Raises:
            StoreUnavailable: Redis is away.
        """
        return self._read(key, "get")

    def peek(self, key: str) -> Entry | None:
        """As `lookup`, for a writer's preconditions: not counted, as nobody wanted the value."""
        return self._get(key)

    def replace(
        self,
        key: str,
        body: bytes | None,
        ttl_ms: int = 0,
        *,
        seen: bytes | None = None,
        conditional: bool = False,
    ) -> bool:
        """Store or delete an entry, if asked only when it is still as the caller has seen it.

        Args:
            key: name within the cache.
            body: the new value as JSON; None deletes.
            ttl_ms: milliseconds to keep it, exactly: no jitter.
            seen: the body the caller has seen, None for no entry.
            conditional: whether `seen` must still hold.

        Returns:
            Whether it was done.

        Raises:
            StoreUnavailable, StoreFull: nothing was stored; the loss is counted.
        """
        keys = [self._key(key)]
        lifetime = 0 if body is None else max(1, ttl_ms)
        arguments = [int(conditional), seen or b"", body or b"", lifetime]
        started = time.perf_counter()
        operation = "delete" if body is None else "set"
        try:
            done = bool(self._compare_and_set(keys, arguments))
            self._local.forget(key)
        except (StoreUnavailable, StoreFull) as error:
            metrics.CACHE_WRITES_DROPPED.inc()
            _count(operation, _failure(error))
            raise
        finally:
            metrics.CACHE_DURATIONS[operation].observe(time.perf_counter() - started)
        _count(operation, "hit" if done else "miss")
        return done

    def key_count(self, prefix: str, most: int = 50_000) -> tuple[int, bool]:
        """Count the entries whose key starts with `prefix`.

        Returns:
            The count, and whether it is whole: counting stops after `most`, because Redis has to
            be asked in turns of a thousand.

        Raises:
            StoreUnavailable: Redis is away.
        """
        pattern = self._key(prefix) + "*"
        count, cursor = 0, 0

        def scan(redis: Client) -> Any:
            return redis.scan(cursor, match=pattern, count=1000)

        while True:
            cursor, keys = self._store.run(scan)
            count += len(keys)
            if not cursor or count >= most:
                return count, not cursor

    def memory_bytes(self) -> int | None:
        """Bytes that Redis uses in all; None for the embedded store, which does not tell."""
        if self._store.embedded:
            return None
        return int(self._store.run(lambda redis: redis.info("memory"))["used_memory"])

    def _lock_or_read(self, key: str, token: str, seconds: float) -> tuple[bool, Entry | None]:
        """Try to take the key's lock and look for its value, in one round trip."""

        def attempt(redis: Client) -> tuple[bool, Entry | None]:
            pipeline = redis.pipeline(transaction=False)
            pipeline.set(self._lock_key(key), token, nx=True, px=int(seconds * 1000))
            pipeline.get(self._key(key))
            pipeline.pttl(self._key(key))
            locked, body, ttl_ms = pipeline.execute()
            return bool(locked), None if body is None else Entry(body, ttl_ms)

        return self._store.run(attempt)

    def _remove(self, key: str) -> Any:
        removed = self._store.run(lambda redis: redis.delete(self._key(key)))
        self._local.forget(key)
        return removed

    def _unlock(self, key: str, token: str) -> None:
        try:
            self._release([self._lock_key(key)], [token])
        except (StoreUnavailable, StoreFull):
            pass  # it runs out by itself

    def _key(self, key: str) -> str:
        return self._store.key("cache", key)

    def _lock_key(self, key: str) -> str:
        return self._store.key("lock", key)

    def _read(self, key: str, operation: str) -> Entry | None:
        entry = self._local.get(key)
        if entry is not None:
            _count(operation, "hit")
        else:
            entry = self._local.keep(key, lambda: self._counted(operation, lambda: self._get(key)))
        self._observe(entry is not None)
        return entry

    def _get(self, key: str) -> Entry | None:
        name = self._key(key)
        body, ttl_ms = self._store.read(("GET", name), ("PTTL", name))
        return None if body is None else Entry(body, ttl_ms)

    def _counted(self, operation: str, step: Callable[[], Any]) -> Any:
        """Run one step against Redis, timed and counted."""
        started = time.perf_counter()
        try:
            result = step()
        except StoreUnavailable as error:
            _count(operation, _failure(error))
            raise
        finally:
            metrics.CACHE_DURATIONS[operation].observe(time.perf_counter() - started)
        _count(operation, "hit" if result else "miss")
        return result


def _count(operation: str, result: str) -> None:
    metrics.CACHE_RESULTS[operation, result].inc()


def _failure(error: Exception) -> str:
    """`error` if Redis was asked and failed, `bypass` if nobody asked it."""
    return "bypass" if isinstance(error, StoreUnavailable) and not error.tried else "error"
