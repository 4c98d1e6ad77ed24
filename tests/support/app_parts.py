"""Parts of the app for tests: settings, and clients of Redis."""

import os
from unittest import mock

from app.config import Settings
from app.redis_client.client import RedisClient
from app.redis_client.time_budget import TimeBudget
from tests.support.processes import free_port


def make_settings(**environ: str) -> Settings:
    """Settings of exactly these variables; a busy machine is not an outage."""
    variables = {"APP_ENV": "testing", "REDIS_TIMEOUT_MS": "10000", **environ}
    with mock.patch.dict(os.environ, variables, clear=True):
        return Settings.from_env()


def make_redis(**environ: str) -> RedisClient:
    settings = make_settings(**environ)
    return RedisClient(settings, TimeBudget(settings.redis_timeout_ms / 1000))


def nowhere() -> str:
    """The URL of a Redis that does not exist."""
    return f"redis://127.0.0.1:{free_port()}/0"
