"""Whether a version is fit for more requests, by what Prometheus has counted of it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_error import CommandError
from deploy import canary_analysis
from deploy.canary_analysis import CanaryAnalysis, Limits, Reading, fault, scraped_since

from app.utils import metrics
from tests.support.monitoring import evaluate

LIMITS = Limits(error_ratio=0.01, p99_ms=500, requests=20)
QUICK, SLOW = {0.1: 1.0, math.inf: 1.0}, {0.5: 0.0, 1.0: 1.0, math.inf: 1.0}


def reading(requests: float, errors: float = 0, slow: bool = False) -> Reading:
    share = SLOW if slow else QUICK
    return Reading(requests, errors, {bound: part * requests for bound, part in share.items()})


@pytest.mark.parametrize(
    ("counted", "final", "expected"),
    [
        (reading(1000), True, None),
        (reading(200, errors=2), True, None),
        (reading(200, errors=40), True, "fails 20.0% of 200 requests, and 1.0% is the limit"),
        # A single error is judged at the end of a step; six end it at once.
        (reading(30, errors=1), False, None),
        (reading(30, errors=1), True, "fails 3.3%"),
        (reading(30, errors=6), False, "fails 20.0%"),
        # Too few requests are not judged.
        (reading(19, errors=19), True, None),
        # Latency is judged at the end of a step only.
        (reading(100, slow=True), False, None),
        (reading(100, slow=True), True, "the new version's p99 is 995 ms, and 500 the limit"),
    ],
)
def test_a_version_is_judged_by_its_errors_and_its_latency(
    counted: Reading, final: bool, expected: str | None
) -> None:
    found = fault(counted, LIMITS, final=final)
    assert (expected in found) if expected and found else found is expected


def test_only_what_happened_since_the_last_reading_counts() -> None:
    since = reading(130, errors=30).since(reading(100, errors=30))
    restarted = fault(reading(10).since(reading(50)), LIMITS, final=False)
    assert (since.requests, since.errors) == (30, 0)
    assert str(since) == "30 requests, 0 errors, p99 99 ms"
    assert restarted == "a replica of the new version has restarted"


@pytest.mark.slow  # fetching promtool may take a while
@pytest.mark.timeout(600)
def test_what_a_candidate_before_has_left_behind_is_not_counted(tmp_path: Path) -> None:
    """Its series for POST ends at 30 s and is still there at 60 s, when the new one was read."""
    counter = metrics.series_name(metrics.REQUESTS)
    series = f'{counter}{{job="web",pool="web-next",instance="10.0.0.5:8000",route="/x",'
    given = {
        f'{series}method="GET",status="500"}}': "_ _ _ 2 2",
        f'{series}method="POST",status="200"}}': "500 500 500 _ _",
    }
    counted = f"sum by (status) ({scraped_since(counter, 40)})"
    expected = [{"labels": '{status="500"}', "value": 2}]
    evaluate(tmp_path, given, [{"expr": counted, "eval_time": "60s", "exp_samples": expected}])


@pytest.mark.parametrize(
    ("buckets", "p99_ms"),
    [
        ({}, 0),
        ({0.1: 100, 0.2: 100, math.inf: 100}, 99),
        ({0.1: 98, 0.2: 100, math.inf: 100}, 150),
        ({0.1: 0, 10.0: 0, math.inf: 100}, 10_000),
    ],
)
def test_p99_is_that_of_histogram_quantile(buckets: dict[float, float], p99_ms: float) -> None:
    assert Reading(100, 0, buckets).p99_ms == pytest.approx(p99_ms)


class Prometheus:
    """Two seconds pass with every query of the time, and every 15 s there is a scrape."""

    def __init__(self, counted: Callable[[float], Reading]) -> None:
        self._counted = counted
        self.time = 100.0

    def read(self, _since: float) -> Reading:
        return self._counted(self.last_scrapes()[0] - 100)

    def now(self) -> float:
        self.time += 2
        return self.time

    def last_scrapes(self) -> list[float]:
        return [self.time - self.time % 15]


def watch(prometheus: Prometheus, *, insist: bool = True, replicas: int = 1) -> float:
    """Watch for ten seconds; returns how many it took by Prometheus' clock."""
    played: Any = prometheus
    analysis = CanaryAnalysis(played, Limits(0.01, 1000, 20), replicas=replicas)
    analysis.watch(10, insist=insist, check=lambda: None)
    return prometheus.time - 100


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary_analysis, "POLL_SECONDS", 0)


def requests(rate: float, errors: float = 0.0) -> Callable[[float], Reading]:
    """Counters that grow by so many requests a second, a share of them errors."""

    def counted(seconds: float) -> Reading:
        total = max(0.0, seconds) * rate
        return Reading(total, total * errors, {0.1: total})

    return counted


def old_until_scraped(seconds: float) -> Reading:
    """Counters of an earlier deploy, which are not held against this one."""
    return requests(10)(seconds) if seconds > 0 else Reading(5000, 5000, {0.1: 5000})


@pytest.mark.parametrize("counted", [requests(10), old_until_scraped])
def test_a_good_version_is_watched_for_a_whole_step(counted: Callable[[float], Reading]) -> None:
    assert watch(Prometheus(counted)) >= 15


@pytest.mark.parametrize(
    ("counted", "replicas", "reason"),
    [
        (requests(10, errors=0.2), 1, "fails 20.0%"),
        (requests(0.1), 1, "too few to judge it by"),
        (requests(10), 2, "does not scrape all replicas"),
    ],
)
def test_a_version_that_fails_or_cannot_be_judged_is_refused(
    counted: Callable[[float], Reading], replicas: int, reason: str
) -> None:
    with pytest.raises(CommandError, match=reason):
        watch(Prometheus(counted), replicas=replicas)


def test_a_blue_green_deploy_needs_no_requests() -> None:
    assert watch(Prometheus(requests(0.1)), insist=False) < 30


def test_a_prometheus_that_stays_silent_ends_the_deploy(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_seconds: float) -> Reading:
        raise CommandError("no answer")

    monkeypatch.setattr(canary_analysis, "SILENCE_SECONDS", 0.01)
    with pytest.raises(CommandError, match="no answer"):
        watch(Prometheus(silent))
