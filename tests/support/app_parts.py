"""Parts of the app for tests: settings, clients of Redis, a token and a clock."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from redis import Redis

from app.config import Settings
from app.redis_client.client import RedisClient
from app.redis_client.time_budget import TimeBudget
from app.utils import metrics, request_context
from tests.support.processes import free_port

TOKEN = "A7mQ2xLw9Zt4VbN6rK1sYh3D"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def make_settings(**environ: str) -> Settings:
    """Settings of exactly these variables; a busy machine is not an outage."""
    variables = {
        "APP_ENV": "testing",
        "REDIS_TIMEOUT_MS": "10000",
        "REDIS_DATA_TIMEOUT_MS": "10000",
    }
    with mock.patch.dict(os.environ, variables | environ, clear=True):
        return Settings.from_env()


def make_redis(**environ: str) -> RedisClient:
    settings = make_settings(**environ)
    return RedisClient(settings, TimeBudget(settings.redis_timeout_ms / 1000))


def nowhere() -> str:
    return f"redis://127.0.0.1:{free_port()}/0"


@contextmanager
def one_request() -> Iterator[None]:
    """Everything inside belongs to one request and shares its time budget."""
    token = request_context.set_current(request_context.RequestContext("an-id", None, "192.0.2.7"))
    try:
        yield
    finally:
        request_context.reset(token)


def sample(metric: metrics.AnyMetric, suffix: str = "", **labels: str) -> float:
    """The number of one series, as this process has counted it."""
    name = metrics.series_name(metric) + suffix
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def seconds_left(redis: RedisClient, pattern: str = "*") -> dict[bytes, float]:
    """Seconds until each key of data ends; those without an end are left out."""

    def look(client: Redis) -> dict[bytes, float]:
        ends = {key: client.zscore(redis.ends_key, key) for key in client.scan_iter(pattern)}
        return {key: at - time.time() for key, at in ends.items() if at is not None}

    return redis.run(look)
