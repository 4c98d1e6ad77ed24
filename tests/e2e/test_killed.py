"""`docker kill`, and scripts/supervise.sh, which undoes it.

The engine itself starts again whatever crashes (test_resilience.py), but what was ended by a signal
through its own interface stays down under every restart policy.
"""

import asyncio
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.breaking import RECOVERY_SECONDS, started, under_load, wait_for_new_run
from tests.e2e.load import Report, lost_items
from tests.e2e.stack import ROOT, Stack, clean_environment, docker, inspect
from tests.support.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ASIDE = [
    *("prometheus", "alertmanager", "edge-exporter", "nginx-exporter"),
    *("redis-exporter", "blackbox-exporter", "node-exporter"),
]


@pytest.fixture(scope="module")
def supervised(stack: Stack) -> Iterator[Stack]:
    """The stack with the supervisor beside it."""
    process = subprocess.Popen(
        [ROOT / "scripts" / "supervise.sh", "--project", stack.project],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and "Watching" in process.stdout.readline()
    yield stack
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == 143


def kill_under_load(stack: Stack, service: str) -> Report:
    """Kill a service's first container; returns what became of the requests meanwhile."""
    container = stack.containers(service)[0]
    before = started(container)

    async def kill() -> None:
        await asyncio.to_thread(docker, "kill", container)
        await asyncio.to_thread(wait_for_new_run, container, before)

    return under_load(stack, kill())


@pytest.mark.parametrize("service", ASIDE)
def test_what_only_watches_can_be_killed_unnoticed(supervised: Stack, service: str) -> None:
    report = kill_under_load(supervised, service)

    assert not report.failures, report.summary()


def test_a_killed_replica_takes_only_the_posts_along_that_it_had_begun(supervised: Stack) -> None:
    report = kill_under_load(supervised, "web")

    assert all(" POST /api/v1/items: 502 " in one for one in report.failures), report.failures


def test_without_redis_what_does_not_need_it_is_answered(supervised: Stack) -> None:
    report = kill_under_load(supervised, "redis")

    needless = [one for one in report.failures if " /api/v1/info: " in one or " /health: " in one]
    assert not needless
    assert all(": 503 " in one for one in report.failures), report.failures
    assert report.items
    assert not lost_items(supervised.http, supervised.token, report.items)


def test_a_killed_nginx_is_back(supervised: Stack) -> None:
    report = kill_under_load(supervised, "nginx")

    assert not lost_items(supervised.http, supervised.token, report.items)


def test_what_was_stopped_on_purpose_stays_stopped(supervised: Stack) -> None:
    stopped, killed = supervised.containers("blackbox-exporter") + supervised.containers(
        "node-exporter"
    )
    before = started(killed)

    docker("stop", stopped)
    docker("kill", killed)

    wait_for_new_run(killed, before)  # so the supervisor has seen both
    try:
        assert inspect(stopped)["State"]["Status"] == "exited"
    finally:
        docker("start", stopped)
    wait_until(
        lambda: inspect(stopped)["State"]["Health"]["Status"] == "healthy",
        seconds=RECOVERY_SECONDS,
        why="it is healthy again",
    )
