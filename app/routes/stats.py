"""Usage over all instances."""

from flask import Blueprint, Response

from app.http.openapi import ResponseModel, ResponseSpec, operation
from app.http.responses import CACHEABLE, json_response
from app.routes import service
from app.services.stats import StatsService

blueprint = Blueprint("stats", __name__, url_prefix="/api/v1/stats")


class Latency(ResponseModel):
    """Percentiles in milliseconds, estimated within histogram buckets."""

    p50: float | None
    p95: float | None
    p99: float | None


class Traffic(ResponseModel):
    """Requests of the last five minutes."""

    requests: int
    errors: int
    error_ratio: float | None
    requests_per_second: float
    latency_ms: Latency


class EndpointTraffic(Traffic):
    route: str


class Total(ResponseModel):
    """Requests since counting began."""

    requests: int
    errors: int


class CacheRatio(ResponseModel):
    """Lookups of the cache."""

    hits: int
    misses: int
    ratio: float | None


class Stats(Traffic):
    """Usage over all instances; it contains no personal data."""

    window_seconds: int
    endpoints: list[EndpointTraffic]
    total: Total
    users: dict[str, int]
    sessions: int
    items: int
    cache: CacheRatio
    instances: list[str]


@blueprint.get("")
@operation(
    "Usage over all instances", responses={200: ResponseSpec(Stats, "The last five minutes.")}
)
def stats() -> Response:
    """Workers add their counts every half second, so the newest requests may be missing."""
    return json_response(service(StatsService).report(), headers=CACHEABLE)
