"""Starting: what is refused in one line, and what an earlier run has left."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.support.gunicorn_server import ROOT, GunicornServer
from tests.support.load import Load
from tests.support.processes import metrics_folder, sleeps, wait_until


def start(**settings: str) -> subprocess.CompletedProcess[str]:
    """Start the service with these settings alone, which are meant to be refused."""
    return subprocess.run(
        [sys.executable, "-m", "app"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_wrong_setting_stops_the_start_with_one_line() -> None:
    ended = start(APP_ENV="production")

    assert ended.returncode == 1
    (line,) = (ended.stdout + ended.stderr).strip().splitlines()
    assert "SECRET_KEY: is missing" in line and "for example" in line


@pytest.mark.parametrize(
    ("name", "value"), [("WEB_CONCURRENCY", "two"), ("FORWARDED_ALLOW_IPS", "everybody")]
)
def test_what_gunicorn_reads_by_itself_is_checked_before_it_does(name: str, value: str) -> None:
    ended = start(**{name: value})

    assert ended.returncode == 1
    (line,) = (ended.stdout + ended.stderr).strip().splitlines()
    assert line.startswith(f"devops-starter: {name}: ")


def test_metrics_of_an_earlier_run_are_wiped_at_the_start(redis_url: str, tmp_path: Path) -> None:
    settings = {"REDIS_URL": redis_url, "METRICS_DIR": str(tmp_path), "DRAIN_SECONDS": "0"}
    with GunicornServer(settings) as server:
        Load(server.port, [("GET", "/api/v1/info")], connections=1, total=5).run()

    with GunicornServer(settings) as server:
        text = requests.get(f"{server.base_url}/metrics", timeout=5).text

    assert '"/api/v1/info"' not in text


@pytest.mark.slow
def test_a_start_on_a_taken_port_leaves_nothing_in_memory() -> None:
    server = GunicornServer()
    with socket.create_server(("127.0.0.1", server.port)):
        server.launch()
        wait_until(lambda: metrics_folder(server.pid), seconds=30, why="it has loaded the app")
        folder = metrics_folder(server.pid)

        assert server.wait() == 1

    assert folder and not folder.exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_before_it_listens_ends_the_start_in_order(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    os.mkfifo(tmp_path / "log")  # opened for writing while nobody reads, it holds up the start
    server = GunicornServer({"LOG_FILE": str(tmp_path / "log")})
    server.launch()
    try:
        wait_until(lambda: sleeps(server.pid), seconds=30, why="it waits for its log")

        server.send_signal(number)

        assert (server.wait(), server.stderr) == (status, "")
    finally:
        server.stop()
