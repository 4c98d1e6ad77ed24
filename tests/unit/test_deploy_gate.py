"""Whether a version is fit for more requests, by what Prometheus has counted of it."""

import math
from pathlib import Path

import pytest
import yaml

from scripts.lib.deploy.gate import Limits, Reading, fault, scraped_since
from tests.support.monitoring import run_tool

LIMITS = Limits(error_ratio=0.01, p99_ms=500, requests=20)
QUICK = {0.1: 1.0, math.inf: 1.0}


def reading(
    requests: float, errors: float = 0, buckets: dict[float, float] | None = None
) -> Reading:
    share = QUICK if buckets is None else buckets
    return Reading(requests, errors, {bound: part * requests for bound, part in share.items()})


def test_a_version_without_errors_passes() -> None:
    assert fault(reading(1000), LIMITS, final=True) is None


def test_more_errors_than_the_limit_are_a_fault() -> None:
    found = fault(reading(200, errors=40), LIMITS, final=True)

    assert found == "the new version fails 20.0% of 200 requests, and 1.0% is the limit"


def test_as_many_errors_as_the_limit_allows_are_none() -> None:
    assert fault(reading(200, errors=2), LIMITS, final=True) is None


def test_a_single_error_early_on_is_no_reason_to_stop_at_once() -> None:
    assert fault(reading(30, errors=1), LIMITS, final=False) is None
    assert fault(reading(30, errors=1), LIMITS, final=True) is not None
    assert fault(reading(30, errors=6), LIMITS, final=False) is not None


def test_too_few_requests_tell_nothing() -> None:
    assert fault(reading(19, errors=19), LIMITS, final=True) is None
    assert fault(reading(0), Limits(0.01, 500, 0), final=True) is None


def test_slowness_is_a_fault_at_the_end_of_a_step_only() -> None:
    slow = reading(100, buckets={0.5: 0.0, 1.0: 1.0, math.inf: 1.0})

    assert fault(slow, LIMITS, final=False) is None
    assert fault(slow, LIMITS, final=True) == "the new version's p99 is 995 ms, and 500 the limit"


def test_counters_that_went_back_mean_that_a_replica_has_restarted() -> None:
    found = fault(reading(10).since(reading(50)), LIMITS, final=False)

    assert found == "a replica of the new version has restarted"


def test_only_what_happened_since_the_reading_before_counts() -> None:
    since = reading(130, errors=30).since(reading(100, errors=30))

    assert (since.requests, since.errors) == (30, 0)
    assert str(since) == "30 requests, 0 errors, p99 99 ms"


@pytest.mark.slow  # fetching promtool may take a while
@pytest.mark.timeout(600)
def test_what_a_candidate_before_has_left_behind_is_not_counted(tmp_path: Path) -> None:
    """Its series for POST ends at 30 s and is still there at 60 s, when the new one was read."""
    labels = 'job="web",pool="web-next",instance="10.0.0.5:8000",route="/x"'
    series = {
        f'http_requests_total{{{labels},method="GET",status="500"}}': "_ _ _ 2 2",
        f'http_requests_total{{{labels},method="POST",status="200"}}': "500 500 500 _ _",
    }
    case = {
        "interval": "15s",
        "input_series": [{"series": name, "values": series[name]} for name in series],
        "promql_expr_test": [
            {
                "expr": f"sum by (status) ({scraped_since('http_requests_total', 40)})",
                "eval_time": "60s",
                "exp_samples": [{"labels": '{status="500"}', "value": 2}],
            }
        ],
    }
    path = tmp_path / "gate.test.yml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [case]}))

    done = run_tool("promtool", "test", "rules", path)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("buckets", "p99_ms"),
    [
        ({}, 0),
        ({0.1: 100, 0.2: 100, math.inf: 100}, 99),
        ({0.1: 98, 0.2: 100, math.inf: 100}, 150),
        ({0.1: 0, 10.0: 0, math.inf: 100}, 10_000),
    ],
)
def test_p99_is_what_histogram_quantile_makes_of_the_buckets(
    buckets: dict[float, float], p99_ms: float
) -> None:
    assert Reading(100, 0, buckets).p99_ms == pytest.approx(p99_ms)
