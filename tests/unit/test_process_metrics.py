"""Metrics read at the scrape: the build, the workers and their processes."""

import os

import pytest
from prometheus_client.samples import Sample

from app.server import lifecycle
from app.server.process_metrics import ServiceCollector, WorkerProcessCollector
from app.utils import metrics
from tests.support.app_parts import make_settings

NO_PROCESS = 2**22 + 1  # above the largest process ID Linux gives


def samples(collector: ServiceCollector | WorkerProcessCollector) -> dict[str, list[Sample]]:
    return {family.name: family.samples for family in collector.collect()}


@pytest.mark.usefixtures("draining")
def test_the_service_shows_its_build_its_workers_and_that_it_stops() -> None:
    settings = make_settings(APP_VERSION="1.2.3", GIT_COMMIT="abc", WEB_THREADS="5")

    found = samples(ServiceCollector(settings))

    (info,) = found[metrics.APP_INFO.name]
    assert info.value == 1
    assert (info.labels["version"], info.labels["commit"]) == ("1.2.3", "abc")
    for metric, value in {
        metrics.APP_WORKERS: 1,
        metrics.APP_WORKER_THREADS: 5,
        metrics.APP_DRAINING: 1,
    }.items():
        assert found[metric.name][0].value == value


def test_a_worker_that_has_just_ended_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "workers", lambda: {1: os.getpid(), 2: NO_PROCESS})
    found = samples(WorkerProcessCollector())
    assert {each.labels["worker"] for family in found.values() for each in family} == {"1"}
