"""Usage over all instances."""

from flask import Blueprint, Response

from app.routes.deps import CACHEABLE, reply, services
from app.utils.openapi import Reply, ReplyModel, operation

blueprint = Blueprint("stats", __name__, url_prefix="/api/v1/stats")


class Latency(ReplyModel):
    """Percentiles in milliseconds, estimated within histogram buckets."""

    p50: float | None
    p95: float | None
    p99: float | None


class Traffic(ReplyModel):
    """Requests of the last five minutes."""

    requests: int
    errors: int
    error_ratio: float | None
    requests_per_second: float
    latency_ms: Latency


class EndpointTraffic(Traffic):
    """Requests of one route."""

    route: str


class Total(ReplyModel):
    """Requests since counting began."""

    requests: int
    errors: int


class CacheRatio(ReplyModel):
    """Looks into the cache."""

    hits: int
    misses: int
    ratio: float | None


class Stats(Traffic):
    """Usage over all instances; nothing in it is about a person."""

    window_seconds: int
    endpoints: list[EndpointTraffic]
    total: Total
    users: dict[str, int]
    sessions: int
    items: int
    cache: CacheRatio
    instances: list[str]


@blueprint.get("")
@operation("Usage over all instances", replies={200: Reply(Stats, "The last five minutes.")})
def stats() -> Response:
    """Workers add their counts every half second, so the newest requests may be missing."""
    return reply(services().stats.report(), headers=CACHEABLE)
