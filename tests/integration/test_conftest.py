"""tests/conftest.py, by runs of pytest inside the test."""

import pytest
from redis import Redis

from tests.support.paths import ROOT

USES_REDIS = """
from redis import Redis

def test_it(redis_url, redis_prefix):
    Redis.from_url(redis_url).set(redis_prefix + "mine", "value")
    print("prefix:" + redis_prefix)
"""

STARTS_ITS_OWN = """
from tests.support.redis_server import RedisSentinel, RedisServer

def test_an_outage(own_redis):
    pass

def test_a_sentinel():
    RedisSentinel()

def test_other_options():
    with RedisServer("--maxmemory", "8mb"):
        pass
"""


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder whose tests know the fixtures and hooks of tests/conftest.py, outside CI."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("TEST_REDIS_URL", raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take most of the start
    pytester.makeini("[pytest]\nmarkers = slow: takes long\n")
    pytester.makeconftest("from tests.conftest import *")
    return pytester


def test_test_redis_url_is_used_and_only_the_tests_own_keys_are_deleted(
    inner: pytest.Pytester, redis_url: str, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Redis.from_url(redis_url, decode_responses=True)
    client.set(f"{redis_prefix}another's", "kept")
    monkeypatch.setenv("TEST_REDIS_URL", redis_url)
    inner.makepyfile(USES_REDIS)

    result = inner.runpytest_subprocess("-s")

    result.assert_outcomes(passed=1)
    prefix = next(line for line in result.outlines if "prefix:" in line).split("prefix:")[1]
    assert client.keys(f"{prefix.rstrip('.')}*") == []
    assert client.get(f"{redis_prefix}another's") == "kept"


@pytest.mark.parametrize(
    ("ci", "outcomes"),
    [("", {"skipped": 4}), ("true", {"errors": 2, "failed": 2})],
    ids=["here", "in CI"],
)
def test_without_any_redis_one_line_says_what_to_do_and_ci_fails(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcomes: dict[str, int]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", ci)
    inner.makepyfile(USES_REDIS + STARTS_ITS_OWN)

    result = inner.runpytest_subprocess()

    result.assert_outcomes(**outcomes)
    lines = [line for line in result.outlines if "skipped: " in line]
    assert len(lines) == ("skipped" in outcomes)
    assert all("NO REDIS" in line and "TEST_REDIS_URL" in line for line in lines)


TAKES_LONG = """
import time
import pytest
from tests import conftest

@pytest.fixture(autouse=True)
def short_limit(monkeypatch):
    monkeypatch.setattr(conftest, "_allowed_seconds", lambda: 0.05)

{mark}
def test_it():
    time.sleep(0.1)
"""


def test_a_test_over_the_limit_fails_unless_it_is_marked_slow(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        test_unmarked=TAKES_LONG.format(mark=""),
        test_marked=TAKES_LONG.format(mark="@pytest.mark.slow"),
    )

    result = inner.runpytest_subprocess()

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines("*took ?.? s, over the 0.1 s for a test not marked slow*")
