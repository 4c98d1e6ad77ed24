"""The cache over HTTP: any JSON value under a key, with a time to live."""

import hashlib

import orjson
from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field

from app.config import Settings
from app.http import openapi
from app.http.openapi import Header, ResponseModel, ResponseSpec, operation
from app.http.problems import Problem
from app.http.responses import encoded_response, json_response, no_content
from app.routes import service
from app.services.cache_service import CacheService, Entry
from app.services.stats import StatsService

blueprint = Blueprint("cache", __name__, url_prefix="/api/v1/cache")

# Separates entries of clients from those of the service itself.
PREFIX = "api:"

IF_MATCH = Header("If-Match", "Only if the entry's ETag is one of these, or * for any entry.")
IF_NONE_MATCH = Header("If-None-Match", "Only if the entry's ETag is none of these.")
NEW_ETAG = {"ETag": "Of the new value."}


class Key(BaseModel):
    key: str = Field(
        min_length=1,
        max_length=200,
        pattern=r"^[A-Za-z0-9._:~@-]+$",
        description="1 to 200 of A-Z, a-z, 0-9 and . _ : ~ @ -",
        examples=["greeting"],
    )


class Lifetime(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ttl: int = Field(
        default_factory=int,
        ge=1,
        description="Seconds to keep it.",
        examples=[60],
        json_schema_extra={openapi.MAXIMUM_SETTING: "cache_ttl_max"},
    )


class CacheStats(ResponseModel):
    """Use of the cache, over all instances."""

    hits: int
    misses: int
    ratio: float | None
    keys: int
    keys_complete: bool
    memory_bytes: int | None


@blueprint.get("")
@operation("Use of the cache", responses={200: ResponseSpec(CacheStats, "Over all instances.")})
def cache_stats() -> Response:
    """Hits, misses and ratio of all lookups; keys stored here; memory that Redis uses in all."""
    cache = service(CacheService)
    keys, complete = cache.key_count(PREFIX)
    return json_response(
        {
            **service(StatsService).cache_totals(),
            "keys": keys,
            "keys_complete": complete,
            "memory_bytes": cache.memory_bytes(),
        }
    )


@blueprint.get("/<key>")
@operation(
    "Read an entry",
    path=Key,
    headers=(IF_NONE_MATCH,),
    responses={
        200: ResponseSpec(
            description="The value.",
            headers={"ETag": "Tells this value from others.", "X-Cache-TTL": "Seconds left."},
            any_json=True,
            example={"hello": "world"},
        ),
        304: ResponseSpec(description="The caller has it already."),
    },
)
def read_entry(key: str) -> Response:
    """404 when there is no such entry, or it has expired."""
    entry = service(CacheService).lookup(PREFIX + key)
    if entry is None:
        raise _missing()
    tag = _tag(entry.payload)
    headers = {"ETag": f'"{tag}"', "X-Cache-TTL": str(int(entry.ttl_seconds()))}
    # Most clients do not send the header, and a look at the environment is cheap.
    if "HTTP_IF_NONE_MATCH" in request.environ and request.if_none_match.contains_weak(tag):
        return no_content(304, headers)
    return encoded_response(entry.payload + b"\n", headers=headers)


@blueprint.put("/<key>")
@operation(
    "Store an entry",
    path=Key,
    query=Lifetime,
    any_body=True,
    body_example={"hello": "world"},
    headers=(IF_MATCH, IF_NONE_MATCH),
    responses={
        200: ResponseSpec(description="Replaced.", headers=NEW_ETAG, any_json=True),
        201: ResponseSpec(description="Stored.", headers=NEW_ETAG, any_json=True),
    },
    token=True,
)
def store_entry(key: str, query: Lifetime, body: object) -> Response:
    """Any JSON value; 412 when If-Match or If-None-Match do not hold."""
    cache, settings = service(CacheService), service(Settings)
    ttl = query.ttl or settings.cache_ttl_default
    if ttl > settings.cache_ttl_max:
        raise Problem(
            422,
            f"ttl must be {settings.cache_ttl_max} seconds at most.",
            errors=[{"location": "query.ttl", "message": "too long", "type": "less_than_equal"}],
        )
    payload = orjson.dumps(body)
    seen = cache.peek(PREFIX + key)
    _check_preconditions(seen)
    if not cache.replace(PREFIX + key, payload, ttl, seen=seen, conditional=_is_conditional()):
        raise _changed()
    return encoded_response(payload + b"\n", 200 if seen else 201, {"ETag": f'"{_tag(payload)}"'})


@blueprint.delete("/<key>")
@operation(
    "Delete an entry",
    path=Key,
    headers=(IF_MATCH,),
    responses={204: ResponseSpec(description="Deleted.")},
    token=True,
)
def delete_entry(key: str) -> Response:
    """404 when there is no such entry; 412 when If-Match does not hold."""
    cache = service(CacheService)
    seen = cache.peek(PREFIX + key)
    _check_preconditions(seen)
    if seen is None:
        raise _missing()
    if not cache.replace(PREFIX + key, None, seen=seen, conditional=_is_conditional()):
        raise _changed() if _is_conditional() else _missing()
    return no_content()


def _is_conditional() -> bool:
    # An empty header counts as none: nginx does not pass it on.
    return bool(request.headers.get("If-Match") or request.headers.get("If-None-Match"))


def _check_preconditions(entry: Entry | None) -> None:
    """RFC 9110, section 13.1, for methods that change something."""
    tag = _tag(entry.payload) if entry else None
    if request.headers.get("If-Match") and (tag is None or not request.if_match.contains(tag)):
        raise _changed()
    if request.headers.get("If-None-Match") and tag is not None:
        if request.if_none_match.contains_weak(tag):
            raise _changed()


def _tag(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()[:32]


def _missing() -> Problem:
    return Problem(404, "There is no such entry, or it has expired.")


def _changed() -> Problem:
    return Problem(412, "If-Match or If-None-Match does not hold; read the entry again.")
