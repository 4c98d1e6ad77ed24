"""Hot cache entries in this process's memory, for a moment: what `CACHE_LOCAL_MS` asks for.

An entry is served from here for at most that many milliseconds after it was asked of Redis, so a
value is never older than that, whoever has changed it elsewhere. What this process changes itself
it forgets at once.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

MOST_ENTRIES = 1024
MOST_BYTES = 16_384  # of one entry, so that all together stay below 16 MiB


@dataclass(frozen=True, slots=True)
class Entry:
    """A cached value as it is stored."""

    body: bytes
    """The value as JSON."""
    ttl_ms: int
    """Milliseconds it has left to live."""

    @property
    def value(self) -> Any:
        """The value."""
        return orjson.loads(self.body)


class LocalLayer:
    """Keeps entries that were found; threads may use it without a lock.

    Args:
        keep_ms: how long, in milliseconds; 0 keeps nothing.
        clock: seconds, monotonic; tests bring their own.
    """

    def __init__(self, keep_ms: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep_seconds = keep_ms / 1000
        self._clock = clock
        self._entries: dict[str, tuple[Entry, float]] = {}
        self._changes = 0

    def get(self, key: str) -> Entry | None:
        """The entry if it is kept and fresh, with what it has left to live now."""
        kept = self._entries.get(key)
        if kept is None:
            return None
        entry, asked_at = kept
        age = self._clock() - asked_at
        left_ms = entry.ttl_ms - int(age * 1000)
        fresh = age < self._keep_seconds and left_ms > 0
        return replace(entry, ttl_ms=left_ms) if fresh else None

    def keep(self, key: str, fetch: Callable[[], Entry | None]) -> Entry | None:
        """What `fetch` gets from Redis; an entry is remembered."""
        asked_at, changes = self._clock(), self._changes
        found = fetch()
        if found is None:
            self._entries.pop(key, None)
        elif self._keep_seconds and len(found.body) <= MOST_BYTES:
            if len(self._entries) >= MOST_ENTRIES:
                self._entries.clear()  # what is hot is back at once
            self._entries[key] = found, asked_at
            if changes != self._changes:  # it may be this entry that was changed meanwhile
                self._entries.pop(key, None)
        return found

    def forget(self, key: str) -> None:
        """Called when this process has changed the entry."""
        self._changes += 1
        self._entries.pop(key, None)
