"""Fixtures of the integration tests."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.app_parts import TOKEN
from tests.support.browser import NO_BROWSER, chromium, find_chromium
from tests.support.missing import missing
from tests.support.paths import ROOT
from tests.support.redis_server import RedisServer, delete_keys
from tests.support.service import EMBEDDED, Service, StartService


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium that all tests share; open pages in contexts of their own."""
    path = find_chromium()
    if path is None:
        missing(NO_BROWSER)
    with chromium(path) as running:
        yield running


@pytest.fixture(scope="session")
def start_service(request: pytest.FixtureRequest) -> StartService:
    """Starts the service: `with start_service(WEB_CONCURRENCY="2") as service: ...`.

    redis: URL of a Redis, or EMBEDDED. Without it, the shared Redis and a key prefix of its own.
    server: gunicorn or granian.
    root: the folder that contains `app/`.
    settings: of the service. Where WEB_CONCURRENCY is one, all workers run at the beginning.
    """

    @contextmanager
    def start(
        *, redis: str = "", server: str = "gunicorn", root: Path | str = ROOT, **settings: str
    ) -> Iterator[Service]:
        env = {"SERVER": server, "DRAIN_SECONDS": "0", "REDIS_URL": redis}
        if not redis:
            env["REDIS_URL"] = request.getfixturevalue("redis_url")
            env["REDIS_KEY_PREFIX"] = f"test:{uuid.uuid4().hex[:16]}:"
            # A busy machine is not an outage.
            env["REDIS_TIMEOUT_MS"] = env["REDIS_DATA_TIMEOUT_MS"] = "10000"
        with Service(env | settings, root) as service:
            if workers := int(settings.get("WEB_CONCURRENCY", "0")):
                service.wait_for_workers(workers)
                if server == "gunicorn":
                    service.wait_for_boots(workers)
            yield service
        if not redis:
            delete_keys(env["REDIS_URL"], env["REDIS_KEY_PREFIX"])

    return start


@pytest.fixture(scope="session")
def service(start_service: StartService) -> Iterator[Service]:
    """A service with a token, for tests that leave it as they found it."""
    with start_service(API_TOKENS=TOKEN, WEB_CONCURRENCY="2") as running:
        yield running


@pytest.fixture(scope="module")
def embedded_service(start_service: StartService) -> Iterator[Service]:
    """A service as `setup.sh --local` starts it: the embedded store, no tokens, one port."""
    with start_service(redis=EMBEDDED, MANAGEMENT_BIND="") as running:
        yield running


@pytest.fixture
def second_redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def server() -> str:
    """The server that `start_service` is given; see `on_both_servers`."""
    return "gunicorn"
