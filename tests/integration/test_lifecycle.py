"""Stopping and losing a worker, as an orchestrator would have it."""

import http.client
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.gunicorn_server import GunicornServer
from tests.support.load import REFUSED, Load
from tests.support.processes import metrics_folder, wait_until

DRAIN_SECONDS = 2


@pytest.fixture
def settings(redis_url: str, redis_prefix: str) -> dict[str, str]:
    return {
        "REDIS_URL": redis_url,
        "REDIS_KEY_PREFIX": redis_prefix,
        "WEB_CONCURRENCY": "2",
        "DRAIN_SECONDS": str(DRAIN_SECONDS),
        "GRACEFUL_TIMEOUT_SECONDS": "10",
    }


@pytest.fixture
def server(settings: dict[str, str]) -> Iterator[GunicornServer]:
    with GunicornServer(settings) as running:
        yield running


@pytest.fixture
def long_draining(settings: dict[str, str]) -> Iterator[GunicornServer]:
    """A service that drains for longer than any busy machine holds up a test."""
    with GunicornServer(settings | {"DRAIN_SECONDS": "60"}) as running:
        yield running


def ready(server: GunicornServer) -> int:
    return requests.get(f"{server.base_url}/health/ready", timeout=20).status_code


def test_sigterm_turns_readiness_off_at_once_while_requests_are_still_served(
    long_draining: GunicornServer,
) -> None:
    server = long_draining
    assert ready(server) == 200

    server.send_signal(signal.SIGTERM)

    wait_until(lambda: ready(server) == 503, seconds=20, why="readiness is off")
    assert requests.get(f"{server.base_url}/api/v1/info", timeout=20).status_code == 200
    server.send_signal(signal.SIGTERM)
    assert server.wait(seconds=40) == 0


def test_requests_in_flight_at_sigterm_are_finished(server: GunicornServer) -> None:
    statuses: list[int] = []

    def ask() -> None:
        url = f"{server.base_url}/api/v1/demo/delay/{DRAIN_SECONDS + 1.5}"
        statuses.append(requests.get(url, timeout=40).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: in_progress(server) >= 1, seconds=20, why="the request is in progress")

    server.send_signal(signal.SIGTERM)

    assert server.wait(seconds=40) == 0
    asking.join(timeout=20)
    assert statuses == [200]


def test_a_load_that_goes_on_during_sigterm_gets_answers_until_it_is_refused(
    server: GunicornServer,
) -> None:
    requests_sent = [("GET", "/api/v1/info"), ("GET", "/api/v1/demo/delay/0.3")]
    with Load(server.port, requests_sent, connections=8, pause=0.02) as load:
        wait_until(lambda: len(load.answers) > 50, seconds=20, why="the load is running")
        asked = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert server.wait(seconds=40) == 0
        answers = load.stop()

    answered = [answer for answer in answers if answer.status != REFUSED]
    assert {answer.status for answer in answered} == {200}
    # Those that came while it drained were served, and so were those under way at its end.
    last = max(answer.at for answer in answered)
    assert last > asked + DRAIN_SECONDS / 2
    assert any(answer.at + answer.seconds > last for answer in answered if "delay" in answer.path)


def in_progress(server: GunicornServer) -> float:
    text = requests.get(f"{server.base_url}/metrics", timeout=5).text
    line = next(line for line in text.splitlines() if line.startswith("http_requests_in_progress "))
    return float(line.split()[1])


def test_keep_alive_connections_are_told_to_close_while_draining(
    long_draining: GunicornServer,
) -> None:
    server = long_draining
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/health/live")
    before = connection.getresponse()
    before.read()

    server.send_signal(signal.SIGTERM)
    wait_until(lambda: ready(server) == 503, seconds=20, why="readiness is off")
    connection.request("GET", "/health/live")
    after = connection.getresponse()
    after.read()
    server.send_signal(signal.SIGTERM)

    assert before.getheader("Connection") != "close"
    assert (after.status, after.getheader("Connection")) == (200, "close")


def test_a_second_sigterm_stops_without_draining(long_draining: GunicornServer) -> None:
    long_draining.send_signal(signal.SIGTERM)
    wait_until(lambda: ready(long_draining) == 503, seconds=20, why="readiness is off")

    long_draining.send_signal(signal.SIGTERM)

    assert long_draining.wait(seconds=30) == 0


def test_a_worker_that_dies_is_replaced_and_counted(server: GunicornServer) -> None:
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    victim = int(children.read_text(encoding="ascii").split()[0])

    os.kill(victim, signal.SIGKILL)

    def counted() -> bool:
        text = requests.get(f"{server.base_url}/metrics", timeout=5).text
        return 'worker_exits_total{reason="died"} 1.0' in text and "app_workers 2.0" in text

    wait_until(counted, seconds=20, why="the death is counted and the worker replaced")
    assert any("was sent SIGKILL" in record["message"] for record in server.log_records)


def test_nothing_is_left_in_memory_folders_after_the_end(redis_url: str) -> None:
    with GunicornServer({"REDIS_URL": redis_url, "DRAIN_SECONDS": "0"}) as server:
        folder = metrics_folder(server.pid)
        assert folder and folder.exists()

        assert server.stop() == 0

    assert not folder.exists()
