"""Counters are exact whatever worker answers, and a scrape stays cheap."""

import os
import signal
import statistics
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from app.utils import metrics
from tests.support.load import Load, statuses
from tests.support.processes import wait_until
from tests.support.service import Service, StartService, on_both_servers

WORKERS = 4


@pytest.fixture
def service(start_service: StartService, server: str) -> Iterator[Service]:
    with start_service(server=server, WEB_CONCURRENCY=str(WORKERS)) as running:
        yield running


def wait_for_other_workers(service: Service, former: set[int]) -> None:
    wait_until(
        lambda: len(pids := service.worker_pids()) == WORKERS and not pids & former,
        why="the workers are replaced",
    )


@on_both_servers
def test_a_thousand_requests_are_a_thousand_on_every_scrape(service: Service) -> None:
    Load(service.port, [("GET", "/api/v1/info")], connections=32, total=1000).run()
    readings = {service.metric(metrics.REQUESTS, route="/api/v1/info") for _ in range(10)}
    assert readings == {1000}
    for name in ("process_resident_memory_bytes", "process_open_fds", "process_threads"):
        for slot in range(1, WORKERS + 1):
            assert service.metric(name, worker=str(slot)) > 0, f"{name} of worker {slot}"


@on_both_servers
def test_what_killed_workers_have_counted_is_in_the_metrics_and_in_the_stats(
    service: Service,
) -> None:
    for _ in range(3):
        former = service.worker_pids()
        load = Load(service.port, [("GET", "/api/v1/info")], connections=8, total=100)
        assert statuses(load.run()) == {200: 100}
        for pid in former:
            os.kill(pid, signal.SIGKILL)
        wait_for_other_workers(service, former)
        # Under Granian a worker listens some time after it has begun.
        wait_until(lambda: answers(service), why="it answers again")

    assert service.metric(metrics.REQUESTS, route="/api/v1/info") == 300
    wait_until(lambda: requests_in_stats(service) == 300, why="new workers report for the former")


def answers(service: Service) -> bool:
    with suppress(requests.ConnectionError):
        return service.get("/health/live").ok
    return False


def requests_in_stats(service: Service) -> int:
    rows: list[dict[str, Any]] = service.get("/api/v1/stats").json()["endpoints"]
    return sum(row["requests"] for row in rows if row["route"] == "/api/v1/info")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_scrape_costs_the_same_after_a_hundred_worker_recycles(service: Service) -> None:
    count_on_every_worker(service)
    before = cost_of_a_scrape(service)

    for _ in range(100 // WORKERS):
        former = service.worker_pids()
        service.send_signal(signal.SIGHUP)
        wait_for_other_workers(service, former)
        count_on_every_worker(service)
    after = cost_of_a_scrape(service)

    assert service.metric(metrics.WORKER_EXITS, reason="recycled") >= 100
    assert service.metric(metrics.REQUESTS, route=STATUS_ROUTE) == 26 * REQUESTS_A_ROUND
    assert 0 < after <= 2 * before


STATUS_ROUTE = "/api/v1/demo/status/<code>"
REQUESTS_A_ROUND = 320


def count_on_every_worker(service: Service) -> None:
    """Forty series, on as many workers as share the connections."""
    paths = [("GET", f"/api/v1/demo/status/{400 + number}") for number in range(40)]
    Load(service.port, paths, connections=16, total=REQUESTS_A_ROUND).run()


def cost_of_a_scrape(service: Service) -> float:
    """Median CPU seconds that the workers spend on ten scrapes."""

    def cpu_of_ten() -> float:
        before = cpu_seconds(service)
        for _ in range(10):
            service.scrape()
        return cpu_seconds(service) - before

    service.scrape()
    return statistics.median(cpu_of_ten() for _ in range(5))


def cpu_seconds(service: Service) -> float:
    """From schedstat: `stat` counts hundredths of a second, too coarse for a scrape."""
    threads = (
        thread
        for pid in service.worker_pids()
        for thread in Path(f"/proc/{pid}/task").glob("*/schedstat")
    )
    return sum(int(thread.read_text(encoding="ascii").split()[0]) for thread in threads) / 1e9


def test_a_thousand_unknown_paths_and_methods_are_counted_in_one_series(service: Service) -> None:
    paths = [("GET", f"/{uuid.uuid4().hex}") for _ in range(1000)]
    methods = [(f"METHOD{number}", "/nope") for number in range(100)]

    Load(service.port, paths + methods, connections=16, total=1100).run()

    lines = [line for line in service.scrape().splitlines() if 'route="unmatched"' in line]
    name = metrics.series_name(metrics.REQUESTS)
    counted = [line for line in lines if line.startswith(name) and not line.endswith(" 0.0")]
    assert len(lines) < 100
    assert sorted(counted) == [
        f'{name}{{method="GET",route="unmatched",status="404"}} 1000.0',
        f'{name}{{method="OTHER",route="unmatched",status="404"}} 100.0',
    ]
