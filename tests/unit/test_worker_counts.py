"""What a worker reports to /stats: each count once, whatever is killed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.services.worker_counts import WorkerCounts
from app.utils import metric_store, metrics
from app.utils.metric_store import Cells, SharedValue

ROUTE = "/of-this-test"


@pytest.fixture(autouse=True)
def _slots(tmp_path: Path) -> Iterator[None]:
    """The metrics are kept in files; afterwards in memory again, as for other tests."""
    former, cells = list(SharedValue.instances), SharedValue.cells
    places = [value.cell for value in former]
    SharedValue.enter(Cells(tmp_path, 1))
    yield
    SharedValue.instances[:] = former
    SharedValue.cells, SharedValue.values = cells, cells.values
    for value, place in zip(former, places):
        value.cell = place
    metrics.DURATION.clear()


def observe(times: int, status_class: str = "2xx", seconds: float = 0.001) -> None:
    for _ in range(times):
        metrics.DURATION.labels("GET", ROUTE, status_class).observe(seconds)


def reported(counts: WorkerCounts) -> list[tuple[int, dict[str, int]]]:
    return [(report.number, dict(report.counts)) for report in counts.reports()]


def test_requests_errors_and_lookups_are_reported_once() -> None:
    counts = WorkerCounts()
    observe(2)
    observe(1, "5xx", seconds=60)
    metrics.CACHE_RESULTS["get", "hit"].inc()
    metrics.CACHE_RESULTS["get_or_set", "miss"].inc(2)
    metrics.CACHE_RESULTS["set", "miss"].inc()
    metrics.CACHE_RESULTS["get", "error"].inc()

    durations = {f"{ROUTE}|b0": 2, f"{ROUTE}|b11": 1, f"{ROUTE}|errors": 1}
    assert reported(counts) == [(1, durations | {"cache|hits": 1, "cache|misses": 2})]
    assert not reported(counts)
    observe(1)
    assert reported(counts) == [(2, {f"{ROUTE}|b0": 1})]


def test_a_report_without_an_answer_is_repeated_and_what_came_since_is_another() -> None:
    counts = WorkerCounts()
    observe(1)
    first = next(counts.reports())  # the answer never comes
    observe(2)

    assert reported(counts) == [(1, first.counts), (2, {f"{ROUTE}|b0": 2})]


def test_a_successor_reports_what_a_killed_worker_could_not(tmp_path: Path) -> None:
    killed = WorkerCounts()
    observe(1)
    assert reported(killed) == [(1, {f"{ROUTE}|b0": 1})]
    observe(3)
    sent = next(killed.reports())
    observe(5)

    SharedValue.enter(Cells(tmp_path, 1))
    successor = WorkerCounts()
    observe(7)

    again, new = successor.reports()
    assert again == sent
    assert (new.source, new.number, new.counts) == (sent.source, 3, {f"{ROUTE}|b0": 12})


def test_what_was_counted_before_in_the_same_process_is_another_applications() -> None:
    SharedValue.enter(Cells())
    observe(1)
    counts = WorkerCounts()
    observe(2)
    assert reported(counts) == [(1, {f"{ROUTE}|b0": 2})]


def test_of_many_series_all_that_have_changed_are_found() -> None:
    counts = WorkerCounts()
    for number in (0, 50, 99):
        for route in range(100):
            child = metrics.DURATION.labels("GET", f"{ROUTE}-{route}", "2xx")
            if route == number:
                child.observe(0.001)
        assert [report.counts for report in counts.reports()] == [{f"{ROUTE}-{number}|b0": 1}]


def test_an_earlier_runs_reports_are_cleared(tmp_path: Path) -> None:
    counts = WorkerCounts()
    observe(1)
    assert reported(counts)
    metric_store.prepare(str(tmp_path))
    assert not list(tmp_path.iterdir())
