"""What every route needs: the services, and ways to answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app

from app.config import Settings
from app.services.cache_service import CacheService
from app.services.fault_service import FaultService
from app.services.health_service import HealthService
from app.services.item_service import ItemService
from app.services.rate_limit import RateLimit
from app.services.stats_service import StatsService
from app.utils import jsonio

JSON = "application/json"
# What is the same for everybody may come from a proxy: nginx asks once a second for all, hands out
# the last answer while it does, and goes on with it for ten seconds when it gets none. Browsers
# keep nothing: charts must move.
CACHEABLE = {
    "Cache-Control": "public, max-age=0, s-maxage=1, stale-while-revalidate=1, stale-if-error=10"
}


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one application, made once by `create_app`."""

    settings: Settings
    cache: CacheService
    items: ItemService
    stats: StatsService
    faults: FaultService
    health: HealthService
    rate_limit: RateLimit


def services() -> Services:
    """The services of the application that answers this request."""
    found: Services = current_app.extensions["services"]
    return found


def reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return raw_reply(jsonio.dumps(value), status, headers)


def raw_reply(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response of a body that is JSON already."""
    return Response(body, status, headers, content_type=JSON)


def empty(status: int = 204, headers: Mapping[str, str] | None = None) -> Response:
    """A response without a body."""
    response = Response(status=status, headers=dict(headers or {}))
    del response.headers["Content-Type"]
    return response
