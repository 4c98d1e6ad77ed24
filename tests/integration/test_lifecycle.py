"""Starting, stopping, reloading and losing a worker, as an orchestrator would have it."""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.gunicorn_server import ROOT, GunicornServer
from tests.support.load import Load
from tests.support.processes import wait_until

DRAIN_SECONDS = 2


@pytest.fixture
def server(redis_url: str, redis_prefix: str) -> Iterator[GunicornServer]:
    settings = {
        "REDIS_URL": redis_url,
        "REDIS_KEY_PREFIX": redis_prefix[:32],
        "WEB_CONCURRENCY": "2",
        "DRAIN_SECONDS": str(DRAIN_SECONDS),
        "GRACEFUL_TIMEOUT_SECONDS": "10",
    }
    with GunicornServer(settings) as running:
        yield running


def ready(server: GunicornServer) -> int:
    return requests.get(f"{server.base_url}/health/ready", timeout=2).status_code


def test_sigterm_turns_readiness_off_at_once_while_requests_are_still_served(
    server: GunicornServer,
) -> None:
    assert ready(server) == 200

    server.send_signal(signal.SIGTERM)

    wait_until(lambda: ready(server) == 503, seconds=1, why="readiness is off")
    assert requests.get(f"{server.base_url}/api/v1/info", timeout=2).status_code == 200
    assert server.wait(seconds=15) == 0


def test_requests_in_flight_at_sigterm_are_finished(server: GunicornServer) -> None:
    statuses: list[int] = []

    def ask() -> None:
        url = f"{server.base_url}/api/v1/demo/delay/{DRAIN_SECONDS + 1.5}"
        statuses.append(requests.get(url, timeout=20).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: in_progress(server) >= 1, seconds=5, why="the request is in progress")

    server.send_signal(signal.SIGTERM)

    assert server.wait(seconds=20) == 0
    asking.join(timeout=5)
    assert statuses == [200]


def in_progress(server: GunicornServer) -> float:
    text = requests.get(f"{server.base_url}/metrics", timeout=5).text
    line = next(line for line in text.splitlines() if line.startswith("http_requests_in_progress "))
    return float(line.split()[1])


def test_keep_alive_connections_are_told_to_close_while_draining(server: GunicornServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", "/health/live")
    before = connection.getresponse()
    before.read()

    server.send_signal(signal.SIGTERM)
    wait_until(lambda: ready(server) == 503, seconds=1, why="readiness is off")
    connection.request("GET", "/health/live")
    after = connection.getresponse()
    after.read()

    assert before.getheader("Connection") != "close"
    assert (after.status, after.getheader("Connection")) == (200, "close")


def test_a_second_sigterm_stops_without_draining(server: GunicornServer) -> None:
    server.send_signal(signal.SIGTERM)
    wait_until(lambda: ready(server) == 503, seconds=1, why="readiness is off")
    asked = time.monotonic()

    server.send_signal(signal.SIGTERM)

    assert server.wait(seconds=10) == 0
    assert time.monotonic() - asked < DRAIN_SECONDS


@pytest.mark.slow
def test_reloads_under_load_lose_no_request(server: GunicornServer) -> None:
    with Load(server.port, [("GET", "/api/v1/info")], connections=8, pause=0.01) as load:
        for reload in range(1, 5):
            server.send_signal(signal.SIGHUP)
            wait_for_boots(server, 2 + 2 * reload)
        answers = load.stop()

    assert len(answers) > 100
    assert {answer.status for answer in answers} == {200}


def wait_for_boots(server: GunicornServer, number: int) -> None:
    wait_until(lambda: boots(server) >= number, seconds=30, why=f"{number} workers have started")


def boots(server: GunicornServer) -> int:
    return sum("Booting worker" in line for line in server.log_lines)


def test_sighup_takes_over_secrets_from_changed_files(
    redis_url: str, redis_prefix: str, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("the-first-token", encoding="utf-8")
    settings = {
        "REDIS_URL": redis_url,
        "REDIS_KEY_PREFIX": redis_prefix[:32],
        "API_TOKENS_FILE": str(tokens),
        "WEB_CONCURRENCY": "2",
        "DRAIN_SECONDS": "0",
    }
    with GunicornServer(settings) as server:
        assert put_with(server, "the-first-token") == 201

        tokens.write_text("the-second-token", encoding="utf-8")
        server.send_signal(signal.SIGHUP)

        wait_until(lambda: put_with(server, "the-first-token") == 401, seconds=10, why="reloaded")
        wait_until(lambda: put_with(server, "the-second-token") == 200, seconds=10, why="reloaded")


def put_with(server: GunicornServer, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{server.base_url}/api/v1/cache/key"
    return requests.put(url, json=1, headers=headers, timeout=5).status_code


def test_a_reload_that_fails_leaves_the_service_as_it_was(
    redis_url: str, redis_prefix: str, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("the-first-token", encoding="utf-8")
    settings = {
        "REDIS_URL": redis_url,
        "REDIS_KEY_PREFIX": redis_prefix[:32],
        "API_TOKENS_FILE": str(tokens),
        "WEB_CONCURRENCY": "2",
        "DRAIN_SECONDS": "0",
    }
    with GunicornServer(settings) as server:
        tokens.unlink()
        server.send_signal(signal.SIGHUP)

        wait_until(
            lambda: any("Reload refused" in line for line in server.log_lines),
            seconds=10,
            why="the reload is refused",
        )
        wait_for_boots(server, 4)
        assert put_with(server, "the-first-token") == 201


def test_a_worker_that_dies_is_replaced_and_counted(server: GunicornServer) -> None:
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    victim = int(children.read_text(encoding="ascii").split()[0])

    os.kill(victim, signal.SIGKILL)

    def counted() -> bool:
        text = requests.get(f"{server.base_url}/metrics", timeout=5).text
        return 'worker_exits_total{reason="died"} 1.0' in text and "app_workers 2.0" in text

    wait_until(counted, seconds=10, why="the death is counted and the worker replaced")
    assert any("was sent SIGKILL" in record["message"] for record in server.log_records)


def test_nothing_is_left_in_memory_folders_after_the_end(redis_url: str) -> None:
    before = set(Path("/dev/shm").glob("devops-starter-metrics-*"))
    with GunicornServer({"REDIS_URL": redis_url, "DRAIN_SECONDS": "0"}) as server:
        during = set(Path("/dev/shm").glob("devops-starter-metrics-*")) - before
        assert server.stop() == 0

    assert during
    assert not during & set(Path("/dev/shm").glob("devops-starter-metrics-*"))


def test_metrics_of_an_earlier_run_are_wiped_at_the_start(redis_url: str, tmp_path: Path) -> None:
    settings = {"REDIS_URL": redis_url, "METRICS_DIR": str(tmp_path), "DRAIN_SECONDS": "0"}
    with GunicornServer(settings) as server:
        Load(server.port, [("GET", "/api/v1/info")], connections=1, total=5).run()

    with GunicornServer(settings) as server:
        text = requests.get(f"{server.base_url}/metrics", timeout=5).text

    assert '"/api/v1/info"' not in text


def test_a_wrong_setting_stops_the_start_with_one_line(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "APP_ENV": "production", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "gunicorn", "-c", "python:app.gunicorn_conf"]

    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False
    )

    assert ended.returncode != 0
    lines = (ended.stdout + ended.stderr).strip().splitlines()
    assert len(lines) == 1
    assert "SECRET_KEY: is missing" in lines[0] and "for example" in lines[0]


@pytest.mark.parametrize(
    ("name", "value"), [("WEB_CONCURRENCY", "two"), ("FORWARDED_ALLOW_IPS", "everybody")]
)
def test_what_gunicorn_reads_by_itself_is_checked_before_it_does(name: str, value: str) -> None:
    environment = {"PATH": os.environ["PATH"], name: value}

    ended = subprocess.run(
        [sys.executable, "-m", "app"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith(f"devops-starter: {name}: ")
