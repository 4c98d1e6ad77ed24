"""Items: the example resource, kept in Redis without a time to live.

Replace it with your own: validation stands in the route's models, HTTP in the route, and what
is worth copying here is how a write stays atomic (one script), how two writers are told apart
(compare with what was seen) and how cached pages become invalid (the generation).
"""

import hashlib
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import orjson

from app.services import item_scripts
from app.services.cache_service import CacheService, Fetched
from app.utils import metrics
from app.utils.store import Client, Store

Item = dict[str, Any]

PAGE_TTL_SECONDS = 60
IDEMPOTENCY_SECONDS = 24 * 3600
UPDATE_ATTEMPTS = 5

# The position after which a page starts. Not encoded, so that the pattern tells all that is right.
CURSOR_PATTERN = r"^c[0-9]{1,15}$"


class ItemNotFound(Exception):
    """There is no such item."""


class StaleItem(Exception):
    """The item has changed since the caller saw it."""


class IdempotencyMismatch(Exception):
    """The idempotency key was used before, with another body."""


class BadCursor(ValueError):
    """The cursor was not made by this service."""


@dataclass(frozen=True, slots=True)
class Created:
    """A created item."""

    item: Item
    replayed: bool
    """Whether it was created earlier, under the same idempotency key."""


class ItemService:
    """Creates, reads, changes and lists items; every method may raise `StoreUnavailable`."""

    def __init__(self, store: Store, cache: CacheService) -> None:
        self._store = store
        self._cache = cache
        self._create = store.script(item_scripts.CREATE)
        self._update = store.script(item_scripts.UPDATE)
        self._delete = store.script(item_scripts.DELETE)

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
            StoreFull: nothing was added.
        """
        item_id = str(uuid.uuid4())
        now = _now()
        item = {"id": item_id, **fields, "version": 1, "created_at": now, "updated_at": now}
        fingerprint = b"" if idempotency_key is None else _digest(orjson.dumps(dict(fields)))
        record = _digest(f"{caller}\n{idempotency_key}".encode()).decode()
        arguments = [item_id, orjson.dumps(item), fingerprint, IDEMPOTENCY_SECONDS]
        created, body = self._create(self._keys(item_id, record), arguments)
        if created:
            metrics.ITEM_CHANGES.labels("create").inc()
            return Created(item, replayed=False)
        if not body.startswith(fingerprint):
            raise IdempotencyMismatch
        return Created(orjson.loads(body[len(fingerprint) :]), replayed=True)

    def get(self, item_id: str) -> Item:
        """The item.

        Raises:
            ItemNotFound: no item has this ID.
        """
        return _load(self._body(item_id))

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
            matches: whether the item is as the caller has seen it; without it, the last writer
                wins.

        Raises:
            ItemNotFound: no item has this ID.
            StaleItem: `matches` said no, or others kept changing it.
            StoreFull: nothing was changed.
        """
        for _ in range(UPDATE_ATTEMPTS):
            seen = self._body(item_id)
            item = _load(seen)
            if matches and not matches(item):
                raise StaleItem
            changed = {
                **item,
                **change(item),
                "version": item["version"] + 1,
                "updated_at": _now(),
            }
            if self._update(self._keys(item_id), [seen, orjson.dumps(changed)]):
                metrics.ITEM_CHANGES.labels("update").inc()
                return changed
        raise StaleItem

    def delete(self, item_id: str, matches: Callable[[Item], bool] | None = None) -> None:
        """Remove an item; arguments and errors as for `update`."""
        for _ in range(UPDATE_ATTEMPTS):
            seen = self._body(item_id)
            if matches and not matches(_load(seen)):
                raise StaleItem
            if self._delete(self._keys(item_id), [seen, item_id]):
                metrics.ITEM_CHANGES.labels("delete").inc()
                return
        raise StaleItem

    def page(self, limit: int, cursor: str | None, use_cache: bool = True) -> Fetched:
        """A page of items in the order of their creation.

        Args:
            limit: items on the page.
            cursor: `next_cursor` of the page before.
            use_cache: False reads the store itself.

        Returns:
            `{"items": […], "next_cursor": … or None}` and whether it came from the cache.

        Raises:
            BadCursor: `cursor` is none of ours.
        """
        after = _decode_cursor(cursor)
        if not use_cache:
            return Fetched(self._read_page(limit, after), "BYPASS")
        generation = self._get(self._store.key("items", "gen"))
        key = f"items:{(generation or b'0').decode()}:{limit}:{after}"
        return self._cache.fetch(key, PAGE_TTL_SECONDS, lambda: self._read_page(limit, after))

    def _read_page(self, limit: int, after: int) -> dict[str, Any]:
        index = self._store.key("items", "index")

        def read(redis: Client) -> tuple[list[Any], list[Any]]:
            # One more than asked for tells whether there is a next page.
            rows: Any = redis.zrange(
                index, f"({after}", "+inf", byscore=True, offset=0, num=limit + 1, withscores=True
            )
            keys = [self._item_key(member.decode()) for member, _ in rows[:limit]]
            bodies: Any = redis.mget(keys) if keys else []
            return rows, bodies

        rows, bodies = self._store.run(read)
        more = len(rows) > limit
        return {
            # An item deleted between the two reads is simply not there any more.
            "items": [orjson.loads(body) for body in bodies if body is not None],
            "next_cursor": _encode_cursor(int(rows[limit - 1][1])) if more else None,
        }

    def _body(self, item_id: str) -> bytes:
        body = self._get(self._item_key(item_id))
        if body is None:
            raise ItemNotFound
        return body

    def _get(self, key: str) -> bytes | None:
        body: Any = self._store.run(lambda redis: redis.get(key))
        return None if body is None else bytes(body)

    def _item_key(self, item_id: str) -> str:
        return self._store.key("item", item_id)

    def _keys(self, item_id: str, record: str = "none") -> list[str]:
        names = (("items", "index"), ("items", "sequence"), ("items", "gen"))
        return [
            self._item_key(item_id),
            *(self._store.key(*name) for name in names),
            self._store.key("idempotency", record),
        ]


def _load(body: bytes) -> Item:
    item: Item = orjson.loads(body)
    return item


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def _encode_cursor(position: int) -> str:
    return f"c{position}"


def _decode_cursor(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not re.fullmatch(CURSOR_PATTERN, cursor):
        raise BadCursor(cursor)
    return int(cursor[1:])
