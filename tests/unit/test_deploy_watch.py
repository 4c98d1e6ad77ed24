"""How long a step is watched, and what ends it."""

from collections.abc import Callable
from typing import Any

import pytest

from scripts.lib.deploy import Problem
from scripts.lib.deploy import watch as module
from scripts.lib.deploy.gate import Limits, Reading
from scripts.lib.deploy.progress import Progress
from scripts.lib.deploy.watch import Watch

LIMITS = Limits(error_ratio=0.01, p99_ms=1000, requests=20)
SECONDS = 10.0


class Prometheus:
    """Two seconds pass with every look, and every fifteenth second is scraped."""

    def __init__(self, counted: Callable[[float], Reading]) -> None:
        self._counted = counted
        self.time = 100.0
        self.replicas = 1

    def read(self, since: float) -> Reading:
        assert since <= self.time
        return self._counted(self.last_scrapes()[0] - 100)

    def now(self) -> float:
        return self.time

    def last_scrapes(self) -> list[float]:
        return [self.time - self.time % 15] * self.replicas


class Replicas:
    count = 1

    def check_alive(self, _service: str) -> None:
        pass


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "sleep", lambda _seconds: None)


def watch(prometheus: Prometheus, *, insist: bool = True) -> float:
    """Watch for ten seconds; returns how many it took by Prometheus' clock."""
    played: Any = prometheus
    replicas: Any = Replicas()
    watched = Watch(played, replicas, LIMITS, Progress())
    original = prometheus.now

    def later() -> float:
        prometheus.time += 2
        return original()

    played.now = later
    watched.run(SECONDS, insist=insist)
    return prometheus.time - 100


def requests(rate: float, errors: float = 0.0) -> Callable[[float], Reading]:
    """Counters that grow by so many requests a second, a share of them errors."""
    return lambda seconds: Reading(
        max(0.0, seconds) * rate, max(0.0, seconds) * rate * errors, {0.1: max(0.0, seconds) * rate}
    )


def test_a_good_version_is_watched_until_a_scrape_covers_the_whole_step() -> None:
    assert watch(Prometheus(requests(10))) >= 15


def test_a_failing_version_is_found_before_the_step_ends() -> None:
    with pytest.raises(Problem, match="fails 20.0%"):
        watch(Prometheus(requests(10, errors=0.2)))


def test_what_a_deploy_before_left_behind_is_not_held_against_this_one() -> None:
    def left_behind_until_scraped(seconds: float) -> Reading:
        fresh = requests(10)(seconds)
        return fresh if seconds > 0 else Reading(5000, 5000, {0.1: 5000})

    assert watch(Prometheus(left_behind_until_scraped)) >= 15


def test_a_canary_without_requests_to_judge_it_by_is_refused() -> None:
    with pytest.raises(Problem, match="too few to judge it by"):
        watch(Prometheus(requests(0.1)))


def test_where_nobody_insists_few_requests_will_do() -> None:
    assert watch(Prometheus(requests(0.1)), insist=False) < 3 * SECONDS


def test_replicas_that_prometheus_does_not_read_end_the_watch() -> None:
    prometheus = Prometheus(requests(10))
    prometheus.replicas = 2

    with pytest.raises(Problem, match="does not read all replicas"):
        watch(prometheus)


def test_a_prometheus_that_stays_silent_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.01)

    def read(_since: float) -> Reading:
        raise Problem("no answer")

    prometheus = Prometheus(requests(10))
    monkeypatch.setattr(prometheus, "read", read)

    with pytest.raises(Problem, match="no answer"):
        watch(prometheus)
