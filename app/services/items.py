"""Items: the example resource, stored in Redis without a time to live.

Replace it with your own. What is worth copying: a write is atomic (one script), concurrent writers
are detected (compare with the payload that was seen), and cached pages become invalid with the next
write (the generation).
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import orjson

from app.redis_client.client import RedisClient
from app.services.cache_service import CacheService, Fetched
from app.utils import metrics

Item = dict[str, Any]

PAGE_TTL_SECONDS = 60
IDEMPOTENCY_SECONDS = 24 * 3600
UPDATE_ATTEMPTS = 5

# Of the idempotency record among the keys of a script.
RECORD = 4

# The position after which a page starts. Not encoded, so that the pattern shows every valid value.
CURSOR_PATTERN = r"^c[0-9]{1,15}$"

# Keys of all scripts: the item, the index (a sorted set by sequence number), the sequence, the
# generation (a number that writes increment, so that older cached pages are not read again), the
# idempotency record and the ends of keys.
# ARGV: the item's ID, its payload, the fingerprint of the request ('' without an idempotency key),
# the time when the record ends.
_CREATE = """
if ARGV[3] ~= '' then
  local earlier = redis.call('GET', KEYS[5])
  if earlier then return {0, earlier} end
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], redis.call('INCR', KEYS[3]), ARGV[1])
redis.call('INCR', KEYS[4])
if ARGV[3] ~= '' then
  redis.call('SET', KEYS[5], ARGV[3] .. ARGV[2])
  redis.call('ZADD', KEYS[6], ARGV[4], KEYS[5])
end
return {1, ARGV[2]}
"""
# ARGV: the payload that the caller has seen, the new one.
_UPDATE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('INCR', KEYS[4])
return 1
"""
# ARGV: the payload that the caller has seen, the item's ID. It writes nothing, so that a full Redis
# does it as well; cached pages are told apart by the number of items, too.
_DELETE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
return 1
"""


class ItemNotFound(Exception):
    """There is no such item."""


class StaleItem(Exception):
    """The item has changed since the caller saw it."""


class IdempotencyMismatch(Exception):
    """The idempotency key was used before, with another body."""


@dataclass(frozen=True, slots=True)
class Created:
    item: Item
    replayed: bool
    """Whether it was created earlier, under the same idempotency key."""


class ItemService:
    """Creates, reads, changes and lists items; every method may raise `RedisUnavailable`."""

    def __init__(self, redis: RedisClient, cache: CacheService) -> None:
        self._redis = redis
        self._cache = cache
        self._create = redis.script(_CREATE, replicated=True)
        self._update = redis.script(_UPDATE, replicated=True)
        self._delete = redis.script(_DELETE, replicated=True)

    def create(
        self, fields: Mapping[str, Any], idempotency_key: str | None = None, caller: str = ""
    ) -> Created:
        """Add an item.

        Args:
            fields: its content.
            idempotency_key: with it, a repetition within a day adds nothing and returns the
                item first created (draft-ietf-httpapi-idempotency-key-header).
            caller: keeps one caller's keys apart from another's.

        Raises:
            IdempotencyMismatch: the key came before with other fields.
            RedisFull: nothing was added.
        """
        item_id = str(uuid.uuid4())
        now = _now()
        item = {"id": item_id, **fields, "version": 1, "created_at": now, "updated_at": now}
        fingerprint = b"" if idempotency_key is None else _digest(orjson.dumps(dict(fields)))
        record = _digest(f"{caller}\n{idempotency_key}".encode()).decode()
        arguments = [item_id, orjson.dumps(item), fingerprint, time.time() + IDEMPOTENCY_SECONDS]
        keys = self._keys(item_id, record)
        created, payload = self._create(keys, arguments)
        if created:
            metrics.ITEM_CHANGES.labels("create").inc()
            return Created(item, replayed=False)
        if not payload.startswith(fingerprint):
            raise IdempotencyMismatch
        self._redis.confirm(keys[RECORD])  # the first request may have ended before replicas did
        return Created(orjson.loads(payload[len(fingerprint) :]), replayed=True)

    def get(self, item_id: str) -> Item:
        """The item; `ItemNotFound` if no item has this ID."""
        item: Item = orjson.loads(self._payload(item_id))
        return item

    def update(
        self,
        item_id: str,
        change: Callable[[Item], Mapping[str, Any]],
        matches: Callable[[Item], bool] | None = None,
    ) -> Item:
        """Change an item.

        Args:
            item_id: which one.
            change: returns its new fields, given the item as it is.
            matches: whether the item is the one that the caller has seen; without it, the last
                writer wins.

        Raises:
            ItemNotFound: no item has this ID.
            StaleItem: `matches` returned False, or others kept changing it.
            RedisFull: nothing was changed.
        """
        for _ in range(UPDATE_ATTEMPTS):
            seen = self._payload(item_id)
            item: Item = orjson.loads(seen)
            if matches and not matches(item):
                raise StaleItem
            news = {"version": item["version"] + 1, "updated_at": _now()}
            changed = {**item, **change(item), **news}
            if self._update(self._keys(item_id), [seen, orjson.dumps(changed)]):
                metrics.ITEM_CHANGES.labels("update").inc()
                return changed
        raise StaleItem

    def delete(self, item_id: str, matches: Callable[[Item], bool] | None = None) -> None:
        """Remove an item; arguments and errors as for `update`."""
        for _ in range(UPDATE_ATTEMPTS):
            seen = self._payload(item_id)
            if matches and not matches(orjson.loads(seen)):
                raise StaleItem
            if self._delete(self._keys(item_id), [seen, item_id]):
                metrics.ITEM_CHANGES.labels("delete").inc()
                return
        raise StaleItem

    def page(self, limit: int, cursor: str | None, use_cache: bool = True) -> Fetched:
        """A page of items in the order of their creation.

        Args:
            limit: items on the page.
            cursor: `next_cursor` of the page before, in the form of `CURSOR_PATTERN`.
            use_cache: False reads past the cache.

        Returns:
            `{"items": […], "next_cursor": … or None}` and whether it came from the cache.
        """
        after = int(cursor[1:]) if cursor else 0
        if not use_cache:
            return Fetched(self._read_page(limit, after), "BYPASS")
        generation, count = self._redis.read(
            ("GET", self._redis.key("items", "gen")), ("ZCARD", self._redis.key("items", "index"))
        )
        key = f"items:{(generation or b'0').decode()}:{count}:{limit}:{after}"
        return self._cache.fetch(key, PAGE_TTL_SECONDS, lambda: self._read_page(limit, after))

    def _read_page(self, limit: int, after: int) -> dict[str, Any]:
        index = self._redis.key("items", "index")
        # One more than asked for tells whether there is a next page.
        page = ("BYSCORE", "LIMIT", 0, limit + 1, "WITHSCORES")
        rows = self._redis.read(("ZRANGE", index, f"({after}", "+inf", *page))[0]
        members, numbers = rows[::2], rows[1::2]
        keys = [self._item_key(member.decode()) for member in members[:limit]]
        payloads = self._redis.read(("MGET", *keys))[0] if keys else []
        more = len(members) > limit
        return {
            # An item that was deleted between the two reads is left out.
            "items": [orjson.loads(payload) for payload in payloads if payload is not None],
            "next_cursor": f"c{int(numbers[limit - 1])}" if more else None,
        }

    def _payload(self, item_id: str) -> bytes:
        payload: bytes | None = self._redis.read(("GET", self._item_key(item_id)))[0]
        if payload is None:
            raise ItemNotFound
        return payload

    def _item_key(self, item_id: str) -> str:
        return self._redis.key("item", item_id)

    def _keys(self, item_id: str, record: str = "none") -> list[str]:
        names = ("items:index", "items:sequence", "items:gen", f"idempotency:{record}")
        keys = (self._redis.key(name) for name in names)
        return [self._item_key(item_id), *keys, self._redis.ends_key]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()
