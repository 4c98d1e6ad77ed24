"""Periodic tasks: one that fails does not stop the others, and the end is a last round."""

import logging
import threading

import pytest

from app.redis_client.client import RedisFull, RedisUnavailable
from app.server.periodic_tasks import PeriodicTasks


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
