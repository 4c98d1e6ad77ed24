"""Fixtures that every kind of test may use, and the rule that slow tests say so."""

import os
import signal
import uuid
from collections import Counter
from collections.abc import Generator, Iterator
from functools import partial

import pytest

from tests.support.containers import RedisContainer, engine_answers
from tests.support.missing import NO_REDIS, in_ci, missing
from tests.support.redis_server import RedisServer, delete_keys

UNMARKED_SECONDS = 5.0

RedisServer.without = partial(missing, NO_REDIS)


def pytest_configure() -> None:
    """A shell's background job has SIGINT ignored, and all that tests start would inherit that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each reason to skip, however many tests it concerns."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.items():
        terminalreporter.line(f"{count} tests skipped: {reason}", yellow=True)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer | None]:
    """The redis-server all tests share, or None where they use another Redis; leave it running."""
    if os.environ.get("TEST_REDIS_URL") or not RedisServer.available():
        yield None
        return
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_server: RedisServer | None) -> Iterator[str]:
    """A real Redis: TEST_REDIS_URL, else a redis-server of our own, else one in a container.

    It is shared, and TEST_REDIS_URL may have other users: use only keys under `redis_prefix`.
    """
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        yield given
    elif redis_server is not None:
        yield redis_server.url
    elif engine_answers():
        container = RedisContainer()
        yield container.url
        container.close()
    else:
        missing(NO_REDIS)


@pytest.fixture
def redis_prefix(redis_url: str) -> Iterator[str]:
    """A key prefix of this test's own; its keys, and no others, are deleted afterwards."""
    prefix = f"test:{uuid.uuid4().hex[:16]}:"  # the setting takes 32 characters
    yield prefix
    delete_keys(redis_url, prefix)


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A redis-server for this test alone, which may be killed, paused, restarted and flushed."""
    with RedisServer() as server:
        yield server


def _allowed_seconds() -> float:
    """Five seconds, stretched by the machine's load, and threefold on CI's shared machines."""
    load_per_core = os.getloadavg()[0] / (os.cpu_count() or 1)
    return UNMARKED_SECONDS * max(1.0, load_per_core) * (3 if in_ci() else 1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a passing test that took over five seconds and is not marked slow."""
    report = yield
    unmarked = call.when == "call" and item.get_closest_marker("slow") is None
    if unmarked and report.passed and call.duration > (allowed := _allowed_seconds()):
        report.outcome = "failed"
        report.longrepr = (
            f"took {call.duration:.1f} s, over the {allowed:.1f} s for a test not marked slow:"
            " make it quicker, or mark it with @pytest.mark.slow"
        )
    return report
