"""Which worker takes a new connection: one that has nothing to do, if there is any."""

import os
from collections import deque
from types import SimpleNamespace

import pytest
from gunicorn.workers.gthread import ThreadWorker

from app.server.worker import Worker


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
