"""The management port: it answers whatever the other threads of the service do."""

import gzip
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from app.utils import metrics
from tests.support.load import Load
from tests.support.processes import wait_until
from tests.support.service import Service, StartService, on_both_servers

PATHS = ("/metrics", "/health/live", "/health/ready")
SLOW = ("GET", "/api/v1/demo/delay/1")
pytestmark = on_both_servers


@pytest.fixture
def service(start_service: StartService, server: str) -> Iterator[Service]:
    with start_service(server=server, WEB_CONCURRENCY="2", WEB_THREADS="2") as running:
        yield running


def test_a_full_worker_answers_its_watchers(start_service: StartService, server: str) -> None:
    # One worker: of two, one may get all connections.
    full = start_service(server=server, WEB_CONCURRENCY="1", WEB_THREADS="2")
    with full as service, Load(service.port, [SLOW], connections=6, total=6) as load:
        wait_until(lambda: service.metric(metrics.IN_PROGRESS) >= 2, why="it is full")
        found = [service.manage(path, timeout=2).status_code for path in PATHS]
        waiting = 6 - len(load.answers)

        assert found == [200, 200, 200]
        assert waiting > 2, "there were free threads"


def test_each_port_has_its_own_paths_and_a_scrape_is_compressed_for_those_who_ask(
    start_service: StartService, server: str, service: Service
) -> None:
    assert service.get("/metrics").status_code == 404
    for path in ("/", "/health", "/api/v1/info", "/api/v1/items", "/metrics/"):
        refused = service.manage(path)
        assert refused.status_code == 404, path
        assert refused.headers["Content-Type"] == "application/problem+json"
    assert [service.get(path).status_code for path in PATHS[1:]] == [200, 200]

    plain = service.manage("/metrics", headers={"Accept-Encoding": "identity"})
    small = service.manage("/metrics", headers={"Accept-Encoding": "gzip"}, stream=True)
    sent = small.raw.read(decode_content=False)
    assert gzip.decompress(sent).startswith(plain.content[:100])
    assert len(sent) < len(plain.content) / 4

    taken = service.env["MANAGEMENT_BIND"]
    with pytest.raises(RuntimeError, match=f"MANAGEMENT_BIND: '{taken}': Address already in use"):
        with start_service(server=server, redis="memory://", MANAGEMENT_BIND=taken):
            pass


def test_a_killed_worker_and_a_client_that_sends_nothing_delay_no_scrape(service: Service) -> None:
    port = int(service.env["MANAGEMENT_BIND"].rpartition(":")[2])
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    os.kill(min(service.worker_pids()), signal.SIGKILL)
    assert [service.manage("/metrics", timeout=4).status_code for _ in range(10)] == [200] * 10
    for each in idle:
        each.close()
