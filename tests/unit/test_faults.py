"""Faults: what they hit, what is exempt, and when they end."""

import pytest

from app.redis_client.client import RedisClient
from app.services.faults import Fault, FaultService
from tests.support.app_parts import Clock

ALWAYS = Fault(error_rate=1.0, latency_ms=0, route="/api/v1/*")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("app.services.faults.time.time", clock)
    return clock


@pytest.fixture
def faults(redis: RedisClient) -> FaultService:
    return FaultService(redis)


@pytest.mark.parametrize(
    ("route", "path", "fails"),
    [
        ("/api/v1/*", "/api/v1/items", True),
        ("/api/v1/*", "/docs", False),
        # Those needed to see and to end a fault are exempt.
        *[("/*", path, False) for path in ("/health", "/health/ready", "/metrics")],
        *[("/*", path, False) for path in ("/api/v1/demo/faults", "/static/index.css")],
    ],
)
def test_a_fault_hits_the_paths_that_its_pattern_matches_and_no_others(
    faults: FaultService, route: str, path: str, fails: bool
) -> None:
    faults.set(Fault(1.0, 0, route), 60)
    assert faults.should_fail(path) is fails


def test_the_error_rate_of_requests_fails(
    faults: FaultService, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults.set(Fault(0.3, 0, "/api/v1/*"), 60)
    dice = iter([0.29, 0.3, 0.99])
    monkeypatch.setattr("app.services.faults.random.random", lambda: next(dice))
    assert [faults.should_fail("/api/v1/items") for _ in range(3)] == [True, False, False]


def test_a_fault_may_only_add_latency(
    faults: FaultService, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("app.services.faults.time.sleep", slept.append)
    faults.set(Fault(0.0, 250, "/api/v1/*"), 60)
    assert not faults.should_fail("/api/v1/items")
    assert slept == [0.25]


def test_a_fault_ends_by_itself(faults: FaultService, clock: Clock) -> None:
    faults.set(ALWAYS, 60)
    clock.now += 59.9
    assert faults.should_fail("/api/v1/items")
    clock.now += 0.1
    assert not faults.should_fail("/api/v1/items")


def test_other_workers_follow_at_their_refresh(faults: FaultService, redis: RedisClient) -> None:
    other = FaultService(redis)
    faults.set(ALWAYS, 60)

    assert not other.should_fail("/api/v1/items")
    other.refresh()
    assert other.should_fail("/api/v1/items")
    faults.clear()
    other.refresh()
    assert not other.should_fail("/api/v1/items")
