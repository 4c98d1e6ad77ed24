"""Under load and under attack: what does not need the broken part goes on, and all recovers."""

import asyncio
import time

import pytest
import requests

from tests.e2e import attack
from tests.e2e.breaking import (
    RECOVERY_SECONDS,
    crash,
    is_healthy,
    started,
    under_load,
    wait_for_new_run,
)
from tests.e2e.stack import Stack, docker, inspect
from tests.support.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

KILLED = [
    *("web", "nginx", "redis", "prometheus", "alertmanager", "edge-exporter", "nginx-exporter"),
    *("redis-exporter", "blackbox-exporter", "node-exporter"),
]


async def restart_and_wait(container: str) -> None:
    await asyncio.to_thread(docker, "restart", container)
    await asyncio.to_thread(
        wait_until, lambda: is_healthy(container), seconds=RECOVERY_SECONDS, why="healthy again"
    )


def test_restarting_one_replica_of_two_loses_no_request(stack: Stack) -> None:
    first, second = stack.containers("web")

    async def both_in_turn() -> None:
        await restart_and_wait(first)
        await restart_and_wait(second)

    report = under_load(stack, both_in_turn())

    assert not report.failures, report.summary()
    assert len(report.seconds) > 500


def test_reloading_nginx_loses_no_request(stack: Stack) -> None:
    async def reload_five_times() -> None:
        for _ in range(5):
            await asyncio.to_thread(stack.run_in, "nginx", "nginx", "-s", "reload")
            await asyncio.sleep(1)

    report = under_load(stack, reload_five_times())

    assert not report.failures, report.summary()


@pytest.mark.parametrize("service", KILLED)
def test_a_service_that_dies_is_back_by_itself(stack: Stack, service: str) -> None:
    container = stack.containers(service)[0]
    before = started(container)

    crash(stack, container)

    wait_for_new_run(container, before)


async def crash_and_wait(stack: Stack, container: str) -> None:
    before = started(container)
    await asyncio.to_thread(crash, stack, container)
    await asyncio.to_thread(wait_for_new_run, container, before)


def test_a_replica_that_dies_takes_only_the_posts_along_that_it_had_begun(stack: Stack) -> None:
    report = under_load(stack, crash_and_wait(stack, stack.containers("web")[0]), rate=200)

    # Who sent one cannot know whether it was done; everything else is asked of the other replica.
    assert all(" POST /api/v1/items: 502 " in one for one in report.failures), report.failures
    assert len(report.failures) <= 16, "two workers of eight threads"


def test_redis_killed_under_load_loses_no_acknowledged_item(stack: Stack) -> None:
    report = under_load(stack, crash_and_wait(stack, stack.containers("redis")[0]))
    wait_until(lambda: redis_is_seen(stack), seconds=10, why="the service has Redis again")

    assert len(report.items) > 50
    assert set(item_statuses(stack, report.items)) == {200}


def redis_is_seen(stack: Stack) -> bool:
    return bool(requests.get(f"{stack.http}/health", timeout=5).json()["status"] == "healthy")


def item_statuses(stack: Stack, items: list[str]) -> list[int]:
    with requests.Session() as session:
        urls = [f"{stack.http}/api/v1/items/{item}" for item in items]
        return [session.get(url, timeout=5).status_code for url in urls]


@pytest.mark.parametrize(
    "name", ["slowloris", "large headers", "large bodies", "pipelined garbage"]
)
def test_others_are_answered_quickly_during_an_attack(stack: Stack, name: str) -> None:
    port = int(stack.settings["HTTP_PORT"])

    async def measure() -> list[float]:
        if name == "slowloris":
            async with attack.slow_connections(port, 500):
                return await attack.answer_times(port, seconds=6)
        payload, times = {
            "large headers": (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 10_000, 1),
            "large bodies": (b"x" * 1_000_000, 100),
            "pipelined garbage": (b"GET /\r\n\r\n\x00\xff" * 1000, 20),
        }[name]
        if name == "large bodies":
            head = (
                f"POST /api/v1/items HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**8}\r\n\r\n"
            )
            payload = head.encode() + payload
        stop = time.monotonic() + 6

        async def keep_attacking() -> None:
            while time.monotonic() < stop:
                await attack.send(port, payload, times)

        attackers = [asyncio.create_task(keep_attacking()) for _ in range(4)]
        answers = await attack.answer_times(port, seconds=5)
        await asyncio.gather(*attackers)
        return answers

    quiet = asyncio.run(attack.answer_times(port, seconds=2))
    attacked = asyncio.run(measure())

    slow, worst = sorted(attacked)[int(0.95 * len(attacked))], max(attacked)
    print(f"{name}: 95 % within {1000 * slow:.0f} ms, all within {1000 * worst:.0f} ms")
    assert len(attacked) > 20
    # 100 ms on a machine of one's own; one that is busy anyway is given what it takes then on top.
    assert slow < 0.1 + max(quiet)


def test_nothing_is_left_of_an_attack(stack: Stack) -> None:
    wait_until(lambda: redis_is_seen(stack), seconds=10, why="all is well")
    for replica in stack.containers("web"):
        assert inspect(replica)["State"]["OOMKilled"] is False
