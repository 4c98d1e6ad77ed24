"""Parts of the app on the embedded store, a Redis that does not exist, and stand-in programs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.config import Settings
from app.factory import create_app
from app.redis_client.client import RedisClient
from app.server import lifecycle
from app.services.cache_service import CacheService
from tests.support.app_parts import Clock, make_redis, make_settings, nowhere
from tests.support.processes import Programs


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings() -> Settings:
    return make_settings()


@pytest.fixture
def redis() -> RedisClient:
    return make_redis()


@pytest.fixture
def unavailable() -> RedisClient:
    """A client whose Redis refuses every connection."""
    return make_redis(REDIS_URL=nowhere())


@pytest.fixture
def cache(settings: Settings, redis: RedisClient) -> CacheService:
    return CacheService(settings, redis)


@pytest.fixture
def app() -> Flask:
    """The application with its defaults: the embedded store, no tokens, demo on."""
    return create_app(make_settings())


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def make_client() -> Callable[..., FlaskClient]:
    return lambda **environ: create_app(make_settings(**environ)).test_client()


@pytest.fixture
def draining() -> Iterator[None]:
    lifecycle.start_draining()
    yield
    lifecycle.start_draining(False)


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path / "programs")
