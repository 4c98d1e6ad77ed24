"""Starting: wrong settings are refused in one line, and a start that ends early leaves nothing."""

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.support.processes import metrics_folder, sleeps, wait_until
from tests.support.service import Service


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"APP_ENV": "production"}, "SECRET_KEY: is missing"),
        # Gunicorn reads these two from the environment as well.
        ({"WEB_CONCURRENCY": "two"}, "WEB_CONCURRENCY: "),
        ({"FORWARDED_ALLOW_IPS": "everybody"}, "FORWARDED_ALLOW_IPS: "),
    ],
)
def test_a_wrong_setting_stops_the_start(settings: dict[str, str], message: str) -> None:
    service = Service(settings)
    service.launch()
    assert service.wait() == 1
    (line,) = service.stderr.splitlines() + service.log_lines
    assert line.startswith(f"devops-starter: {message}") and "for example" in line


@pytest.mark.slow
def test_a_start_on_a_taken_port_leaves_nothing_in_memory() -> None:
    service = Service()
    with socket.create_server(("127.0.0.1", service.port)):
        service.launch()
        wait_until(lambda: metrics_folder(service.pid), why="it has loaded the app")
        folder = metrics_folder(service.pid)

        assert service.wait() == 1

    assert folder and not folder.exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_the_start_in_order(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    os.mkfifo(tmp_path / "log")  # opening it for writing blocks until there is a reader
    service = Service({"LOG_FILE": str(tmp_path / "log")})
    service.launch()
    try:
        wait_until(lambda: sleeps(service.pid), why="it waits for its log")

        service.send_signal(number)

        assert (service.wait(), service.stderr) == (status, "")
    finally:
        service.stop()
