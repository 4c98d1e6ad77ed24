"""Parts of the app on the embedded store, and a store that nothing listens behind."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.config import Settings
from app.services.cache_service import CacheService
from app.utils import lifecycle
from app.utils.store import Store
from tests.support.processes import free_port

TOKEN = "A7mQ2xLw9Zt4VbN6rK1sYh3D"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings() -> Settings:
    return make_settings()


@pytest.fixture
def store(settings: Settings) -> Store:
    """The embedded store, empty."""
    return Store(settings)


@pytest.fixture
def away() -> Store:
    """A store whose Redis refuses every connection."""
    return Store(make_settings(REDIS_URL=nowhere()))


@pytest.fixture
def cache(settings: Settings, store: Store) -> CacheService:
    return CacheService(settings, store)


@pytest.fixture
def app() -> Flask:
    """The application with its defaults: the embedded store, no tokens, demo on."""
    return create_app(make_settings())


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def make_client() -> Callable[..., FlaskClient]:
    """A client of an application with settings of its own."""
    return lambda **environ: create_app(make_settings(**environ)).test_client()


@pytest.fixture
def draining() -> Iterator[None]:
    """The time between SIGTERM and the end."""
    lifecycle.start_draining()
    yield
    lifecycle.stop_draining()


def make_settings(**environ: str) -> Settings:
    patient = {"REDIS_TIMEOUT_MS": "10000"}  # a busy machine is no reason to give up
    return Settings.from_env({"APP_ENV": "testing", **patient, **environ})


def nowhere() -> str:
    """The URL of a Redis that is not there."""
    return f"redis://127.0.0.1:{free_port()}/0"
