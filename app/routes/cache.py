"""The cache over HTTP: any JSON value under a key, for a time."""

import hashlib

from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field

from app.routes.deps import empty, raw_reply, reply, services
from app.services.local_layer import Entry
from app.utils import jsonio, openapi
from app.utils.openapi import Header, Reply, ReplyModel, operation
from app.utils.problems import Problem

blueprint = Blueprint("cache", __name__, url_prefix="/api/v1/cache")

# Keeps what people put here apart from what the service itself caches.
PREFIX = "api:"

IF_MATCH = Header("If-Match", "Only if the entry's ETag is one of these, or * for any entry.")
IF_NONE_MATCH = Header("If-None-Match", "Only if the entry's ETag is none of these.")


class Key(BaseModel):
    """The entry's key."""

    key: str = Field(
        min_length=1,
        max_length=200,
        pattern=r"^[A-Za-z0-9._:~@-]+$",
        description="1 to 200 of A-Z, a-z, 0-9 and . _ : ~ @ -",
        examples=["greeting"],
    )


class Lifetime(BaseModel):
    """How long to keep the entry."""

    model_config = ConfigDict(extra="forbid")

    ttl: int = Field(
        default_factory=int,
        ge=1,
        description="Seconds to keep it.",
        examples=[60],
        json_schema_extra={openapi.MAXIMUM_SETTING: "cache_ttl_max"},
    )


class CacheStats(ReplyModel):
    """How the cache does, over all instances."""

    hits: int
    misses: int
    ratio: float | None
    keys: int
    keys_complete: bool
    memory_bytes: int | None


@blueprint.get("")
@operation("How the cache does", replies={200: Reply(CacheStats, "Over all instances.")})
def cache_stats() -> Response:
    """Hits, misses and ratio of all looks; keys stored here; memory that Redis uses in all."""
    known = services()
    keys, complete = known.cache.key_count(PREFIX)
    return reply(
        {
            **known.stats.cache_totals(),
            "keys": keys,
            "keys_complete": complete,
            "memory_bytes": known.cache.memory_bytes(),
        }
    )


@blueprint.get("/<key>")
@operation(
    "Read an entry",
    path=Key,
    headers=(IF_NONE_MATCH,),
    replies={
        200: Reply(
            description="The value.",
            headers={"ETag": "Tells this value from others.", "X-Cache-TTL": "Seconds left."},
            any_json=True,
            example={"hello": "world"},
        ),
        304: Reply(description="The caller has it already."),
    },
)
def read_entry(key: str) -> Response:
    """404 when there is no such entry, or no longer."""
    entry = services().cache.lookup(PREFIX + key)
    if entry is None:
        raise _missing()
    tag = _tag(entry.body)
    headers = {"ETag": f'"{tag}"', "X-Cache-TTL": str(max(0, entry.ttl_ms // 1000))}
    # Most callers send none, and asking the environment costs next to nothing.
    if "HTTP_IF_NONE_MATCH" in request.environ and request.if_none_match.contains_weak(tag):
        return empty(304, headers)
    return raw_reply(entry.body, headers=headers)


@blueprint.put("/<key>")
@operation(
    "Store an entry",
    path=Key,
    query=Lifetime,
    any_body=True,
    body_example={"hello": "world"},
    headers=(IF_MATCH, IF_NONE_MATCH),
    replies={
        200: Reply(description="Replaced.", any_json=True, headers={"ETag": "Of the new value."}),
        201: Reply(description="Stored.", any_json=True, headers={"ETag": "Of the new value."}),
    },
    token=True,
)
def store_entry(key: str, query: Lifetime, body: object) -> Response:
    """Any JSON value; 412 when If-Match or If-None-Match do not hold."""
    known = services()
    ttl = query.ttl or known.settings.cache_ttl_default
    if ttl > known.settings.cache_ttl_max:
        raise Problem(
            422,
            f"ttl must be {known.settings.cache_ttl_max} seconds at most.",
            errors=[{"location": "query.ttl", "message": "too long", "type": "less_than_equal"}],
        )
    value = jsonio.dumps(body)
    seen = known.cache.peek(PREFIX + key)
    _check_preconditions(seen)
    kept = known.cache.replace(
        PREFIX + key,
        value,
        ttl * 1000,
        seen=seen.body if seen else None,
        conditional=_conditional(),
    )
    if not kept:
        raise _changed()
    return raw_reply(value, 200 if seen else 201, {"ETag": _etag(value)})


@blueprint.delete("/<key>")
@operation(
    "Delete an entry",
    path=Key,
    headers=(IF_MATCH,),
    replies={204: Reply(description="Gone.")},
    token=True,
)
def delete_entry(key: str) -> Response:
    """404 when there is no such entry; 412 when If-Match does not hold."""
    cache = services().cache
    seen = cache.peek(PREFIX + key)
    _check_preconditions(seen)
    if seen is None:
        raise _missing()
    if not cache.replace(PREFIX + key, None, seen=seen.body, conditional=_conditional()):
        raise _changed()
    return empty()


def _conditional() -> bool:
    return "If-Match" in request.headers or "If-None-Match" in request.headers


def _check_preconditions(entry: Entry | None) -> None:
    """RFC 9110, section 13.1: If-Match wants the entry as seen, If-None-Match wants it not so."""
    tag = _tag(entry.body) if entry else None
    if "If-Match" in request.headers and (tag is None or not request.if_match.contains(tag)):
        raise _changed()
    if "If-None-Match" in request.headers and tag is not None:
        if request.if_none_match.contains_weak(tag):
            raise _changed()


def _tag(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]


def _etag(body: bytes) -> str:
    return f'"{_tag(body)}"'


def _missing() -> Problem:
    return Problem(404, "There is no such entry, or no longer.")


def _changed() -> Problem:
    return Problem(412, "The entry is not as If-Match or If-None-Match ask; read it again.")
