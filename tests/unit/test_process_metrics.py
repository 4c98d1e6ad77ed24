"""Metrics read at the scrape: the build, the workers and their processes."""

import os

import pytest
from prometheus_client import Metric

from app.server import lifecycle
from app.server.process_metrics import ServiceCollector, WorkerProcessCollector
from app.utils import metrics
from tests.support.app_parts import make_settings

NO_PROCESS = 2**22 + 1  # above the largest process ID Linux gives


def by_name(families: list[Metric]) -> dict[str, Metric]:
    return {family.name: family for family in families}


@pytest.mark.usefixtures("draining")
def test_the_service_shows_its_build_its_workers_and_that_it_stops() -> None:
    settings = make_settings(APP_VERSION="1.2.3", GIT_COMMIT="abc", WEB_THREADS="5")

    families = by_name(list(ServiceCollector(settings).collect()))

    (info,) = families[metrics.APP_INFO.name].samples
    assert info.value == 1
    assert (info.labels["version"], info.labels["commit"]) == ("1.2.3", "abc")
    assert families[metrics.APP_WORKERS.name].samples[0].value == 1
    assert families[metrics.APP_WORKER_THREADS.name].samples[0].value == 5
    assert families[metrics.APP_DRAINING.name].samples[0].value == 1


def test_a_worker_that_has_just_ended_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "workers", lambda: {1: os.getpid(), 2: NO_PROCESS})

    families = by_name(list(WorkerProcessCollector().collect()))

    workers = {each.labels["worker"] for family in families.values() for each in family.samples}
    assert workers == {"1"}
