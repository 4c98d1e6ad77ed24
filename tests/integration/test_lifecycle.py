"""Starting and stopping the service, losing a worker, and having more requests than threads."""

import http.client
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.utils import metrics
from tests.support.load import REFUSED, Load
from tests.support.processes import metrics_folder, sleeps, wait_until
from tests.support.service import Service, StartService, on_both_servers

DRAIN_SECONDS = 2
WORKERS = 2


@pytest.fixture
def drain_seconds() -> int:
    return DRAIN_SECONDS


@pytest.fixture
def service(start_service: StartService, server: str, drain_seconds: int) -> Iterator[Service]:
    settings = {"WEB_CONCURRENCY": str(WORKERS), "GRACEFUL_TIMEOUT_SECONDS": "10"}
    with start_service(server=server, DRAIN_SECONDS=str(drain_seconds), **settings) as running:
        yield running


# It drains for longer than any busy machine delays a test.
@pytest.mark.parametrize("drain_seconds", [60])
@on_both_servers
def test_while_draining_requests_are_served_and_connections_closed(service: Service) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)

    def ask(path: str) -> http.client.HTTPResponse:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response

    before = ask("/health/live")
    assert service.get("/health/ready").status_code == 200

    service.send_signal(signal.SIGTERM)
    wait_until(lambda: service.get("/health/ready").status_code == 503, why="not ready")

    after = ask("/api/v1/info")
    assert before.getheader("Connection") != "close"
    assert (after.status, after.getheader("Connection")) == (200, "close")
    # A second SIGTERM ends the draining.
    service.send_signal(signal.SIGTERM)
    assert service.wait(seconds=40) == 0


@on_both_servers
def test_requests_in_progress_at_sigterm_are_finished(service: Service) -> None:
    path = f"/api/v1/demo/delay/{DRAIN_SECONDS + 1.5}"
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(service.get, path, timeout=40)
        wait_until(lambda: service.metric(metrics.IN_PROGRESS) >= 1, why="it is served")
        service.send_signal(signal.SIGTERM)

        assert service.wait(seconds=40) == 0
        assert asking.result().status_code == 200


@on_both_servers
def test_a_load_during_sigterm_gets_answers_until_connections_are_refused(service: Service) -> None:
    requests_sent = [("GET", "/api/v1/info"), ("GET", "/api/v1/demo/delay/0.3")]
    with Load(service.port, requests_sent, connections=8, pause=0.02) as load:
        wait_until(lambda: len(load.answers) > 50, why="the load is running")
        asked = time.monotonic()
        service.send_signal(signal.SIGTERM)
        assert service.wait(seconds=40) == 0
        answers = load.stop()

    answered = [answer for answer in answers if answer.status != REFUSED]
    assert {answer.status for answer in answered} == {200}
    # Requests that came while it drained were served, and so were those in progress at its end.
    last = max(answer.at for answer in answered)
    assert last > asked + DRAIN_SECONDS / 2
    assert any(answer.at + answer.seconds > last for answer in answered if "delay" in answer.path)


@on_both_servers
def test_a_dead_worker_is_replaced_and_counted_and_its_counts_survive(service: Service) -> None:
    Load(service.port, [("GET", "/api/v1/info")], connections=8, total=100).run()
    before = service.worker_pids()

    os.kill(min(before), signal.SIGKILL)

    wait_until(
        lambda: len(pids := service.worker_pids()) == WORKERS and pids != before,
        why="the worker is replaced",
    )
    died = {"reason": "died"}
    wait_until(lambda: service.metric(metrics.WORKER_EXITS, **died) == 1, why="counted")
    service.wait_for_workers(WORKERS)
    assert service.metric(metrics.REQUESTS, route="/api/v1/info") == 100
    if service.env["SERVER"] == "gunicorn":
        assert service.messages("was sent SIGKILL")


@on_both_servers
def test_a_worker_and_its_successors_may_die_at_once(service: Service) -> None:
    before: set[int] = set()
    for _ in range(3):
        before.update(service.worker_pids())
        os.kill(max(service.worker_pids()), signal.SIGKILL)
        wait_until(lambda: service.worker_pids() - before, why="it is replaced")
    wait_until(lambda: service.get("/health/live").ok, seconds=10, why="it still serves")


def test_the_metrics_folder_is_removed_at_the_end(start_service: StartService) -> None:
    with start_service() as service:
        folder = metrics_folder(service.pid)
        assert folder and folder.exists()
        assert service.stop() == 0
    assert not folder.exists()


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


@pytest.mark.slow
def test_who_has_waited_too_long_is_refused_and_the_rest_served(
    start_service: StartService,
) -> None:
    settings = {"WEB_CONCURRENCY": "1", "WEB_THREADS": "1", "QUEUE_TIMEOUT_SECONDS": "1"}
    with start_service(**settings) as service, ThreadPoolExecutor(8) as pool:
        slow = pool.submit(service.get, "/api/v1/demo/delay/2")
        wait_until(lambda: service.metric(metrics.IN_PROGRESS) == 1, why="it is full")
        early = [
            pool.submit(
                service.put, "/api/v1/cache/late", 1, headers={"X-Request-ID": f"late-{number}"}
            )
            for number in range(4)
        ]
        time.sleep(1.5)
        late = pool.submit(service.get, "/api/v1/info")

        assert slow.result().status_code == 200
        assert late.result().status_code == 200
        for number, each in enumerate(early):
            answer = each.result()
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["X-Request-ID"] == f"late-{number}"
            assert answer.json()["request_id"] == f"late-{number}"
            assert answer.json()["instance"] == "/api/v1/cache/late"
        assert service.get("/api/v1/cache/late").status_code == 404
        assert service.metric(metrics.REQUESTS, status="503", route="unmatched") == 4
