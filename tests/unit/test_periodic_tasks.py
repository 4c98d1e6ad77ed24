"""Periodic tasks: one that fails does not stop the others, and the end is a last round."""

import logging
import threading

import pytest

from app.redis_client.client import RedisFull, RedisUnavailable
from app.server.periodic_tasks import PeriodicTasks


@pytest.mark.parametrize("error", [RedisUnavailable("gone"), RedisFull("full")])
def test_redis_errors_of_a_task_are_ignored(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    def fail() -> None:
        raise error

    PeriodicTasks((fail, lambda: done.append("next"))).run_once()

    assert done == ["next"]
    assert not caplog.records


def test_a_failing_task_is_logged_and_does_not_stop_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[str] = []

    PeriodicTasks((lambda: done.append(str(1 / 0)), lambda: done.append("next"))).run_once()

    assert done == ["next"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_tasks_run_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.periodic_tasks.INTERVAL_SECONDS", 0.001)
    thrice = threading.Event()
    rounds: list[int] = []

    def task() -> None:
        rounds.append(1)
        if len(rounds) == 3:
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
