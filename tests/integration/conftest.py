"""Fixtures of the integration tests alone."""

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from tests.integration.refusals import TOKEN, Service
from tests.support.gunicorn_server import GunicornServer
from tests.support.missing import missing
from tests.support.processes import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """A Chromium that all tests share; open pages in contexts of their own."""
    # Tests that look at no page need not load what drives a browser.
    from tests.support import browser as found  # pylint: disable=import-outside-toplevel

    path = found.find_chromium()
    if path is None:
        missing(found.NO_BROWSER)
    with found.chromium(path) as running:
        yield running


@pytest.fixture(scope="session")
def service(redis_url: str) -> Iterator[Service]:
    """A service with a token, for tests that leave it as they found it."""
    prefix = f"test:{uuid.uuid4().hex[:16]}:"
    settings = {
        "REDIS_URL": redis_url,
        "REDIS_KEY_PREFIX": prefix,
        "REDIS_TIMEOUT_MS": "10000",  # a busy machine is no reason to give up
        "API_TOKENS": TOKEN,
        "WEB_CONCURRENCY": "2",
        "DRAIN_SECONDS": "0",
    }
    with Redis.from_url(redis_url) as redis, GunicornServer(settings) as server:
        # Tests count lines of the log: those of the start must have been written by then.
        wait_until(
            lambda: sum("Booting worker" in line for line in server.log_lines) == 2,
            seconds=30,
            why="both workers have started",
        )
        yield Service(server, redis, prefix)
        for key in redis.scan_iter(match=f"{prefix}*", count=1000):
            redis.delete(key)
