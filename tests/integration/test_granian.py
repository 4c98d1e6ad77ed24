"""`SERVER=granian`: drain, metrics and logs as with Gunicorn, held to the same tests."""

# pylint: disable=unused-import,redefined-outer-name
# The tests that are imported run here once more, against this module's `server`.

import os
import signal
from collections.abc import Iterator

import pytest

from tests.integration.test_lifecycle import (  # noqa: F401
    long_draining,
    test_a_load_that_goes_on_during_sigterm_gets_answers_until_it_is_refused,
    test_keep_alive_connections_are_told_to_close_while_draining,
    test_requests_in_flight_at_sigterm_are_finished,
    test_sigterm_turns_readiness_off_at_once_while_requests_are_still_served,
)
from tests.integration.test_metrics_exact import (  # noqa: F401
    WORKERS,
    scrape,
    test_a_thousand_requests_read_as_a_thousand_on_every_scrape,
    test_histogram_and_counter_agree,
    test_openmetrics_is_given_to_those_who_ask,
    total,
    workers,
)
from tests.support.gunicorn_server import GunicornServer
from tests.support.load import Load
from tests.support.processes import wait_until

pytest.importorskip("granian", reason="NO GRANIAN: pip install -r requirements-granian.txt")


@pytest.fixture
def settings(redis_url: str, redis_prefix: str) -> dict[str, str]:
    return {
        "SERVER": "granian",
        "REDIS_URL": redis_url,
        "REDIS_KEY_PREFIX": redis_prefix,
        "WEB_CONCURRENCY": str(WORKERS),
        "DRAIN_SECONDS": "2",
        "GRACEFUL_TIMEOUT_SECONDS": "10",
    }


@pytest.fixture
def server(settings: dict[str, str]) -> Iterator[GunicornServer]:
    with GunicornServer(settings) as running:
        wait_until(
            lambda: total(scrape(running), "app_workers") == WORKERS,
            seconds=30,
            why="all workers have started",
        )
        yield running


def test_counters_survive_a_worker_that_dies(server: GunicornServer) -> None:
    Load(server.port, [("GET", "/api/v1/info")], connections=8, total=100).run()
    before = workers(server)

    os.kill(min(before), signal.SIGKILL)
    wait_until(
        lambda: len(workers(server)) == WORKERS and workers(server) != before,
        seconds=20,
        why="the worker is replaced",
    )

    wait_until(
        lambda: total(scrape(server), "worker_exits_total", reason="died") == 1,
        seconds=30,
        why="the death is counted",
    )
    assert total(scrape(server), "http_requests_total", route="/api/v1/info") == 100


def test_every_line_is_json_of_the_one_shape(server: GunicornServer) -> None:
    Load(server.port, [("GET", "/api/v1/info"), ("GET", "/nope")], connections=4, total=40).run()
    server.stop()

    records = server.log_records
    shape = {"timestamp", "level", "logger", "message", "service", "instance", "request_id"}
    assert all(shape <= record.keys() for record in records)
    assert sum(record.get("path") == "/api/v1/info" for record in records) == 20
    assert any(record["logger"] == "_granian" for record in records)
    assert server.stderr == ""
