"""Crashes and attacks under load: what does not need the broken part works, and all recovers."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Event, Thread

import pytest
import requests

from tests.e2e.load import MixedLoad
from tests.e2e.stack import Stack, docker, inspect
from tests.support.load import Load, statuses
from tests.support.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MONITORING = [
    *("prometheus", "alertmanager", "edge-exporter", "nginx-exporter"),
    *("redis-exporter", "blackbox-exporter", "node-exporter"),
]
RECOVERY_SECONDS = 30
POST = b"POST /api/v1/items HTTP/1.1\r\nHost: localhost\r\n"
# Sent over and over on each connection, and how many times.
FLOODS = {
    "large headers": (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 10_000, 1),
    "large bodies": (POST + b"Content-Length: 100000000\r\n\r\n" + b"x" * 1_000_000, 100),
    "pipelined garbage": (b"GET /\r\n\r\n\x00\xff" * 1000, 20),
}


def test_crashes_of_the_monitoring_fail_no_request(stack: Stack) -> None:
    mix = crash_under_load(stack, *MONITORING)

    assert not mix.failures, mix.summary()


def test_a_crash_of_redis_fails_only_what_needs_it_and_loses_no_acknowledged_item(
    stack: Stack,
) -> None:
    mix = crash_under_load(stack, "redis")
    wait_until(lambda: redis_is_seen(stack), seconds=10, why="the service has Redis again")

    failures = "".join(mix.failures)
    assert " /api/v1/info: " not in failures and " /health: " not in failures
    assert all(": 503 " in one for one in mix.failures), mix.failures
    assert len(mix.items) > 50
    assert not mix.lost_items()


def test_a_crash_of_nginx_loses_no_acknowledged_item(stack: Stack) -> None:
    assert not crash_under_load(stack, "nginx").lost_items()


def test_a_crash_of_a_replica_fails_only_the_posts_in_progress(stack: Stack) -> None:
    mix = crash_under_load(stack, "web", rate=200)

    # Whether such a POST was done is unknown; other requests are sent to the other replica.
    assert all(" POST /api/v1/items: 502 " in one for one in mix.failures), mix.failures
    assert len(mix.failures) <= 16, "two workers of eight threads"


def test_a_container_ended_by_docker_kill_stays_down_until_compose_starts_it(stack: Stack) -> None:
    container = stack.containers("node-exporter")[0]

    docker("kill", container)

    assert inspect(container)["State"]["Status"] == "exited"
    stack.up()
    assert is_healthy(container)


def test_reloading_nginx_loses_no_request_over_http_1(stack: Stack) -> None:
    with load_on(stack) as mix:
        for _ in range(5):
            stack.run_in("nginx", "nginx", "-s", "reload")
            time.sleep(1)

    # httpx does not repeat what the GOAWAY of a reload disowns (docs/DEPLOYMENT.md).
    assert all("ConnectionTerminated" in one for one in mix.failures), mix.summary()


@pytest.mark.parametrize("name", ["slowloris", *FLOODS])
def test_others_are_answered_quickly_during_an_attack(stack: Stack, name: str) -> None:
    port, stop = int(stack.settings["HTTP_PORT"]), Event()
    if name == "slowloris":
        attackers = [Thread(target=send_slowly, args=(port, stop))]
    else:
        attackers = [Thread(target=flood, args=(port, stop, *FLOODS[name])) for _ in range(4)]

    quiet = answer_times(stack, seconds=2)
    for attacker in attackers:
        attacker.start()
    try:
        attacked = answer_times(stack, seconds=6)
    finally:
        stop.set()
        for attacker in attackers:
            attacker.join()

    slow, worst = sorted(attacked)[int(0.95 * len(attacked))], max(attacked)
    print(f"{name}: 95 % within {1000 * slow:.0f} ms, all within {1000 * worst:.0f} ms")
    assert len(attacked) > 20
    # 100 ms on a quiet machine; a busy one is allowed its own delay on top.
    assert slow < 0.1 + max(quiet)


def test_no_replica_runs_out_of_memory_in_an_attack(stack: Stack) -> None:
    wait_until(lambda: redis_is_seen(stack), seconds=10, why="Redis is seen")
    for replica in stack.containers("web"):
        assert inspect(replica)["State"]["OOMKilled"] is False


@contextmanager
def load_on(stack: Stack, rate: float = 100) -> Iterator[MixedLoad]:
    """Requests from a second before the block until two seconds after it."""
    with MixedLoad(stack, rate=rate) as mix:
        time.sleep(1)
        yield mix
        time.sleep(2)


def crash_under_load(stack: Stack, *services: str, rate: float = 100) -> MixedLoad:
    """Crash a container of each service in turn, each time until it is healthy again."""
    with load_on(stack, rate) as mix:
        for service in services:
            crash(stack, stack.containers(service)[0])
    return mix


def crash(stack: Stack, container: str) -> None:
    """Kill a container's process, as the kernel does when memory runs out, and await its restart.

    Not `docker kill`: the engine does not restart what it was asked to end.
    """
    before = inspect(container)["State"]
    docker(
        *("run", "--rm", "--pid", "host", "--user", "0:0", "--cap-add", "KILL"),
        *("--entrypoint", "python", stack.settings["WEB_IMAGE"]),
        *("-c", f"import os; os.kill({before['Pid']}, 9)"),
    )
    wait_until(
        lambda: inspect(container)["State"]["StartedAt"] != before["StartedAt"]
        and is_healthy(container),
        seconds=RECOVERY_SECONDS,
        why=f"{container} is back",
        interval=0.2,
    )


def is_healthy(container: str) -> bool:
    state = inspect(container)["State"]
    health = state.get("Health", {"Status": "healthy"})  # nginx-exporter has no health check
    return bool(state["Running"] and health["Status"] == "healthy")


def redis_is_seen(stack: Stack) -> bool:
    return bool(requests.get(f"{stack.http}/health", timeout=5).json()["status"] == "healthy")


def send_slowly(port: int, stop: Event) -> None:
    """Slowloris: 500 connections that send one header line every two seconds."""
    with ExitStack() as opened:
        connections = [
            opened.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            for _ in range(500)
        ]
        for connection in connections:
            connection.sendall(POST)
        while not stop.wait(2):
            for connection in connections:
                with suppress(OSError):
                    connection.sendall(b"X-More: 1\r\n")


def flood(port: int, stop: Event, payload: bytes, times: int) -> None:
    """Send the payload so many times over a connection, read an answer, and begin again."""
    while not stop.is_set():
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as connection:
            for _ in range(times):
                connection.sendall(payload)
            connection.recv(65_536)


def answer_times(stack: Stack, *, seconds: float) -> list[float]:
    """Seconds that each of ten requests a second takes, on new connections."""
    paths = [("GET", "/api/v1/info")]
    answers = Load(stack.http, paths, rate=10, seconds=seconds, new_connection_every=1).run()
    assert statuses(answers).keys() == {200}, statuses(answers)
    return [answer.seconds for answer in answers]
