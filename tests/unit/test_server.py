"""What the server runs on: its limits, workers, periodic tasks and metrics of processes."""

import importlib
import logging
import os
import sys
import threading
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import pytest
from gunicorn.workers.gthread import ThreadWorker
from prometheus_client.samples import Sample

from app.config import SettingsError
from app.redis_client.client import RedisFull, RedisUnavailable
from app.server import lifecycle
from app.server.cpu_limit import cpu_limit
from app.server.periodic_tasks import PeriodicTasks
from app.server.process_metrics import ServiceCollector, WorkerProcessCollector
from app.server.worker import Worker
from app.utils import metrics
from tests.support.app_parts import make_settings

QUOTA, PERIOD = "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"


@pytest.mark.parametrize(
    ("files", "cores"),
    [({}, 8), ({"cpu.max": "max 100000"}, 8), ({"cpu.max": "250000 100000"}, 2)]
    + [({"cpu.max": "20000 100000"}, 1), ({"cpu.max": "1600000 100000"}, 8)]
    + [({QUOTA: "-1", PERIOD: "100000"}, 8), ({QUOTA: "300000", PERIOD: "100000"}, 3)]
    + [({QUOTA: "300000"}, 8)],
)
def test_the_limit_counts_where_it_is_below_the_machines_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n", encoding="ascii")
    assert cpu_limit(tmp_path) == cores


def test_on_macos_the_machines_cores_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cpu_limit(tmp_path) == 6


@pytest.mark.parametrize(
    ("workers", "connections", "idle", "expected"),
    [
        (2, 0, 0, ["accept"]),
        (2, 3, 3, ["accept"]),
        (2, 4, 3, ["yield", "accept"]),
        (1, 4, 0, ["accept"]),
    ],
)
def test_a_worker_with_requests_in_hand_lets_the_others_go_first(
    monkeypatch: pytest.MonkeyPatch, workers: int, connections: int, idle: int, expected: list[str]
) -> None:
    done: list[str] = []
    monkeypatch.setattr(os, "sched_yield", lambda: done.append("yield"))
    monkeypatch.setattr(ThreadWorker, "accept", lambda *_: done.append("accept"))
    worker = Worker.__new__(Worker)
    worker.cfg = SimpleNamespace(workers=workers)
    worker.nr_conns = connections
    worker.keepalived_conns, worker.pending_conns = deque([None] * idle), deque()

    worker.accept(None)

    assert done == expected


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


@pytest.mark.parametrize(
    ("date", "values"),
    [
        ("2026-01-02T03:04:05Z", [1767323045]),
        ("2026-01-02T04:04:05+01:00", [1767323045]),
        ("2026-01-02T03:04:05", []),
        ("unknown", []),
        ("yesterday", []),
    ],
)
def test_the_service_shows_when_it_was_built_if_it_knows(date: str, values: list[float]) -> None:
    found = samples(ServiceCollector(make_settings(BUILD_DATE=date)))
    assert [each.value for each in found[metrics.APP_BUILD_TIME.name]] == values


def test_a_worker_that_has_just_ended_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "workers", lambda: {1: os.getpid(), 2: NO_PROCESS})
    found = samples(WorkerProcessCollector())
    assert {each.labels["worker"] for family in found.values() for each in family} == {"1"}


MODULE = "app.server.granian_server"


def test_granian_that_is_missing_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.setitem(sys.modules, "granian", None)
    with pytest.raises(SettingsError, match="^SERVER: granian is not installed; pip install .*$"):
        importlib.import_module(MODULE)


@pytest.mark.parametrize("bind", ["127.0.0.1:1,127.0.0.1:2", "localhost"])
def test_an_address_it_cannot_listen_on_is_an_error_of_one_line(bind: str) -> None:
    server = pytest.importorskip(MODULE, reason="NO GRANIAN: see requirements-granian.txt")
    with pytest.raises(SettingsError, match="^BIND: .* for example BIND=0.0.0.0:8000$"):
        server.serve(make_settings(BIND=bind))


@pytest.mark.parametrize(
    ("error", "logged"),
    [(RedisUnavailable("gone"), []), (RedisFull("full"), []), (ValueError(), [logging.ERROR])],
)
def test_a_failing_task_does_not_stop_the_next_and_is_logged_unless_redis_fails(
    error: Exception, logged: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    def fail() -> None:
        raise error

    PeriodicTasks((fail, lambda: done.append("next"))).run_once()

    assert done == ["next"]
    assert [record.levelno for record in caplog.records] == logged


def test_tasks_run_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.periodic_tasks.INTERVAL_SECONDS", 0.001)
    rounds, thrice = iter(range(2)), threading.Event()

    def task() -> None:
        if next(rounds, None) is None:
            thrice.set()

    tasks = PeriodicTasks((task,))
    tasks.start()

    assert thrice.wait(5)
    tasks.stop()


def test_stopping_runs_every_task_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.periodic_tasks.INTERVAL_SECONDS", 3600)
    rounds: list[int] = []
    tasks = PeriodicTasks((lambda: rounds.append(1),))
    tasks.start()
    tasks.stop()
    assert rounds == [1, 1]


def test_tasks_that_never_started_can_be_stopped() -> None:
    PeriodicTasks(()).stop()
