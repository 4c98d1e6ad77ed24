"""Crashes under load, which the engine repairs, and `docker kill`, which is an order."""

import asyncio

import pytest

from tests.e2e.breaking import crash, is_healthy, started, under_load, wait_for_new_run
from tests.e2e.load import Report, lost_items
from tests.e2e.stack import Stack, docker, inspect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MONITORING = [
    *("prometheus", "alertmanager", "edge-exporter", "nginx-exporter"),
    *("redis-exporter", "blackbox-exporter", "node-exporter"),
]


def crash_under_load(stack: Stack, *services: str) -> Report:
    """Crash a container of each service in turn; returns what became of the requests meanwhile."""

    async def crash_each() -> None:
        for service in services:
            container = stack.containers(service)[0]
            before = started(container)
            await asyncio.to_thread(crash, stack, container)
            await asyncio.to_thread(wait_for_new_run, container, before)

    return under_load(stack, crash_each())


def test_crashes_of_the_monitoring_fail_no_request(stack: Stack) -> None:
    report = crash_under_load(stack, *MONITORING)

    assert not report.failures, report.summary()


def test_without_redis_what_does_not_need_it_is_answered(stack: Stack) -> None:
    report = crash_under_load(stack, "redis")

    failures = "".join(report.failures)
    assert " /api/v1/info: " not in failures and " /health: " not in failures
    assert all(": 503 " in one for one in report.failures), report.failures
    assert report.items
    assert not lost_items(stack.http, stack.token, report.items)


def test_a_crash_of_nginx_loses_no_acknowledged_item(stack: Stack) -> None:
    report = crash_under_load(stack, "nginx")

    assert not lost_items(stack.http, stack.token, report.items)


def test_what_docker_kill_ends_stays_down_until_compose_starts_it(stack: Stack) -> None:
    container = stack.containers("node-exporter")[0]

    docker("kill", container)

    assert inspect(container)["State"]["Status"] == "exited"
    stack.up()
    assert is_healthy(container)
