"""Counters that are exact whatever worker answers, and a scrape that stays cheap."""

import os
import signal
import statistics
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gunicorn_server import GunicornServer
from tests.support.load import Load
from tests.support.processes import wait_until

WORKERS = 4


@pytest.fixture
def server(redis_url: str, redis_prefix: str) -> Iterator[GunicornServer]:
    settings = {
        "REDIS_URL": redis_url,
        "REDIS_KEY_PREFIX": redis_prefix,
        "WEB_CONCURRENCY": str(WORKERS),
        "DRAIN_SECONDS": "0",
    }
    with GunicornServer(settings) as running:
        wait_until(
            lambda: total(scrape(running), "app_workers") == WORKERS,
            seconds=30,
            why="all workers have started",
        )
        yield running


def scrape(server: GunicornServer) -> str:
    return requests.get(f"{server.base_url}/metrics", timeout=5).text


def total(text: str, name: str, **labels: str) -> float:
    """Sum of all samples `name` that carry `labels`."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def workers(server: GunicornServer) -> set[int]:
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text(encoding="ascii")
    return {int(pid) for pid in children.split()}


def replace_worker(server: GunicornServer, number: signal.Signals) -> None:
    """End one worker and wait until another has taken its place."""
    before = workers(server)
    os.kill(min(before), number)
    wait_until(
        lambda: len(workers(server)) == WORKERS and workers(server) != before,
        seconds=20,
        why="the worker is replaced",
    )


def test_a_thousand_requests_read_as_a_thousand_on_every_scrape(server: GunicornServer) -> None:
    Load(server.port, [("GET", "/api/v1/info")], connections=32, total=1000).run()

    readings = {
        total(scrape(server), "http_requests_total", route="/api/v1/info") for _ in range(10)
    }

    assert readings == {1000}


def test_histogram_and_counter_agree(server: GunicornServer) -> None:
    Load(server.port, [("GET", "/api/v1/info"), ("GET", "/nope")], connections=8, total=200).run()

    text = scrape(server)

    assert total(text, "http_requests_total", route="/api/v1/info", status="200") == 100
    assert total(text, "http_requests_total", route="unmatched", status="404") == 100
    assert total(text, "http_request_duration_seconds_count", status_class="2xx") >= 100
    assert total(text, "http_request_duration_seconds_bucket", le="+Inf", status_class="4xx") == 100


def test_counters_survive_the_death_of_any_worker(server: GunicornServer) -> None:
    Load(server.port, [("GET", "/api/v1/info")], connections=8, total=100).run()

    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        replace_worker(server, number)

    wait_until(lambda: total(scrape(server), "app_workers") == WORKERS, seconds=30, why="started")
    text = scrape(server)
    assert total(text, "http_requests_total", route="/api/v1/info") == 100
    assert total(text, "worker_exits_total", reason="died") == 2
    assert total(text, "worker_exits_total", reason="recycled") == 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_scrape_costs_the_same_after_a_hundred_worker_recycles(server: GunicornServer) -> None:
    count_on_every_worker(server)
    before = cost_of_a_scrape(server)

    for _ in range(100 // WORKERS):
        recycle_all_workers(server)
        count_on_every_worker(server)
    after = cost_of_a_scrape(server)

    text = scrape(server)
    assert total(text, "worker_exits_total", reason="recycled") >= 100
    assert total(text, "http_requests_total", route=STATUS_ROUTE) == 26 * REQUESTS_A_ROUND
    assert 0 < after <= 2 * before


STATUS_ROUTE = "/api/v1/demo/status/<code>"
REQUESTS_A_ROUND = 320


def count_on_every_worker(server: GunicornServer) -> None:
    """Forty series, on as many workers as share the connections."""
    paths = [("GET", f"/api/v1/demo/status/{400 + number}") for number in range(40)]
    Load(server.port, paths, connections=16, total=REQUESTS_A_ROUND).run()


def recycle_all_workers(server: GunicornServer) -> None:
    before = workers(server)
    server.send_signal(signal.SIGHUP)
    wait_until(
        lambda: len(workers(server)) == WORKERS and not workers(server) & before,
        seconds=30,
        why="every worker is replaced",
    )


def cost_of_a_scrape(server: GunicornServer) -> float:
    """Median CPU seconds that the workers spend on a scrape, over batches of ten."""
    scrape(server)
    return statistics.median(cpu_of_ten_scrapes(server) for _ in range(5))


def cpu_of_ten_scrapes(server: GunicornServer) -> float:
    before = cpu_seconds(server)
    for _ in range(10):
        scrape(server)
    return cpu_seconds(server) - before


def cpu_seconds(server: GunicornServer) -> float:
    """By the scheduler's own count; `stat` has hundredths of a second, too coarse for a scrape."""
    threads = (
        thread
        for pid in workers(server)
        for thread in Path(f"/proc/{pid}/task").glob("*/schedstat")
    )
    return sum(int(thread.read_text(encoding="ascii").split()[0]) for thread in threads) / 1e9


def test_a_thousand_unknown_paths_and_methods_add_one_series_each(server: GunicornServer) -> None:
    paths = [("GET", f"/{uuid.uuid4().hex}") for _ in range(1000)]
    methods = [(f"METHOD{number}", "/nope") for number in range(100)]

    Load(server.port, paths + methods, connections=16, total=1100).run()

    lines = [line for line in scrape(server).splitlines() if line.startswith("http_requests_total")]
    unmatched = [line for line in lines if 'route="unmatched"' in line]
    assert sorted(unmatched) == [
        'http_requests_total{method="GET",route="unmatched",status="404"} 1000.0',
        'http_requests_total{method="OTHER",route="unmatched",status="404"} 100.0',
    ]


def test_openmetrics_is_given_to_those_who_ask(server: GunicornServer) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}

    response = requests.get(f"{server.base_url}/metrics", headers=accept, timeout=5)

    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


def test_every_worker_shows_its_process(server: GunicornServer) -> None:
    text = scrape(server)

    for name in ("process_resident_memory_bytes", "process_open_fds", "process_threads"):
        for slot in range(1, WORKERS + 1):
            assert total(text, name, worker=str(slot)) > 0, f"{name} of worker {slot}"


def test_requests_in_progress_go_back_to_none(server: GunicornServer) -> None:
    with Load(server.port, [("GET", "/api/v1/demo/delay/0.3")], connections=4):
        wait_until(
            lambda: total(scrape(server), "http_requests_in_progress") >= 4,
            seconds=20,
            why="four requests are in progress",
            interval=0.05,
        )

    wait_until(
        lambda: total(scrape(server), "http_requests_in_progress") == 0,
        seconds=20,
        why="none is in progress any more",
    )
