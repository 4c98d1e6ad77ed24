"""Traces of the real service, through the collector as the stack runs it, read from Jaeger."""

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.pipeline import Collector, Jaeger, configuration
from tests.support.load import Answer, Load, Request
from tests.support.processes import free_port, wait_until
from tests.support.redis_server import RedisServer
from tests.support.service import Service

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NAME = "devops-starter"
INFO, CACHED, ITEMS = "/api/v1/info", "/api/v1/cache/key", "/api/v1/items"
NOWHERE, FAILS, SLOW = "/nope", "/api/v1/demo/status/503", "/api/v1/demo/delay/0.3"
# Of those that are neither slow nor failing.
KEPT_PERCENT = 20


class Pipeline:
    """The service, its Redis, the collector and Jaeger."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.otlp = free_port()
        self.jaeger = Jaeger(folder / "jaeger")
        env = {
            "OTLP_LISTEN": f"127.0.0.1:{self.otlp}",
            "JAEGER_URL": self.jaeger.otlp,
            "TRACES_DECISION_WAIT": "3s",
            "TRACES_SLOW_MS": "200",
            "TRACES_KEEP_PERCENT": str(KEPT_PERCENT),
        }
        self.collector = Collector(
            folder / "collector", "E2E_OTELCOL", configuration("traces.yml"), env | settings
        )
        self.redis = RedisServer()
        self.service = Service(
            {
                "REDIS_URL": self.redis.url,
                "REDIS_TIMEOUT_MS": "10000",  # the machine is busy on purpose
                "REDIS_DATA_TIMEOUT_MS": "10000",
                "WEB_CONCURRENCY": "2",
                "DEMO_ENABLED": "true",
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.otlp}",
                "OTEL_RESOURCE_ATTRIBUTES": "api_token=hunter2hunter2,note=Bearer%20abcdef123456",
            }
        )

    def load(self, paths: list[str], total: int, connections: int = 8) -> dict[str, str]:
        """Send requests to these paths in turn; the paths by the IDs of the traces."""
        sent: dict[str, str] = {}

        def note(request: Request, _answer: Answer, _body: bytes) -> None:
            sent[request.headers["X-Request-ID"]] = request.path

        requests = (
            Request("GET", paths[number % len(paths)], headers={"X-Request-ID": uuid.uuid4().hex})
            for number in range(total)
        )
        Load(
            self.service.port, requests, total=total, connections=connections, on_answer=note
        ).run()
        assert len(sent) == total
        return sent

    def wait_for_decisions(self, number: int) -> None:
        """All spans have left the service, and the collector has decided about so many traces."""
        name = "otelcol_processor_tail_sampling_global_count_traces_sampled"
        wait_until(
            lambda: self.collector.metric(name) >= number, seconds=120, why="it decides", interval=1
        )

    def arrived(self, wanted: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """All traces in Jaeger, once these are among them."""
        wait_until(
            lambda: wanted.keys() <= self.jaeger.traces(NAME).keys(),
            seconds=120,
            why=f"{len(wanted)} traces arrive",
            interval=1,
        )
        return self.jaeger.traces(NAME)

    def __enter__(self) -> "Pipeline":
        for part in (self.jaeger, self.collector, self.redis, self.service):
            part.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.service.stop()
        self.redis.close()
        self.collector.stop()
        self.jaeger.stop()


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with Pipeline(tmp_path) as running:
        yield running


def assert_whole(path: str, trace: dict[str, Any]) -> None:
    """One span of the request, and each round trip to Redis below it."""
    ids = {span["spanID"] for span in trace["spans"]}
    parents = [[of["spanID"] for of in span["references"]] for span in trace["spans"]]
    assert parents.count([]) == 1
    assert all(parent in ids for of in parents for parent in of)
    kinds = [tag(span, "span.kind") for span in trace["spans"]]
    assert kinds.count("server") == 1
    assert ("client" in kinds) == (path in (CACHED, ITEMS)), path


def tag(span: dict[str, Any], name: str) -> Any:
    return next((each["value"] for each in span["tags"] if each["key"] == name), None)


def test_ten_thousand_mixed_requests_are_whole_traces_in_jaeger(tmp_path: Path) -> None:
    with Pipeline(tmp_path, TRACES_KEEP_PERCENT="100") as pipeline:
        sent = pipeline.load([INFO, CACHED, ITEMS, NOWHERE, FAILS], 10_000)

        found = pipeline.arrived(sent)

    assert found.keys() == sent.keys()
    for trace_id, path in sent.items():
        assert_whole(path, found[trace_id])


def test_all_errors_and_slow_requests_are_kept_and_of_the_rest_a_share(pipeline: Pipeline) -> None:
    fast = pipeline.load([INFO, CACHED, NOWHERE], 1500)
    kept = pipeline.load([FAILS], 100) | pipeline.load([SLOW], 100)
    pipeline.wait_for_decisions(1700)

    found = pipeline.arrived(kept)

    # A busy machine makes some of them slow.
    slow = {
        trace_id
        for trace_id in fast.keys() & found.keys()
        if any(span["duration"] >= 200_000 for span in found[trace_id]["spans"])
    }
    share = len((fast.keys() & found.keys()) - slow) / len(fast.keys() - slow)
    # Five standard deviations of 1,500 draws.
    assert abs(share - KEPT_PERCENT / 100) < 0.052
    for trace_id in fast.keys() & found.keys():
        assert_whole(fast[trace_id], found[trace_id])


def test_jaeger_finds_traces_by_what_went_wrong(pipeline: Pipeline) -> None:
    failing = pipeline.load([FAILS], 20)
    pipeline.load([INFO], 20)

    pipeline.arrived(failing)

    for tags in ('{"error":"true"}', '{"http.response.status_code":"503"}'):
        assert pipeline.jaeger.traces(NAME, tags=tags).keys() == failing.keys()


def test_a_secret_that_the_service_sends_does_not_reach_jaeger(pipeline: Pipeline) -> None:
    sent = pipeline.load([FAILS], 5)

    found = pipeline.arrived(sent)

    process, *_ = next(iter(found.values()))["processes"].values()
    values = {each["key"]: each["value"] for each in process["tags"]}
    assert (values["api_token"], values["note"]) == ("****", "****")
    assert "hunter2" not in str(found) and "abcdef123456" not in str(found)
    assert values["service.instance.id"]  # and the rest is as it was


def test_traces_outlive_an_outage_of_jaeger_and_a_killed_collector(pipeline: Pipeline) -> None:
    pipeline.jaeger.stop()
    sent = pipeline.load([FAILS], 300)
    pipeline.wait_for_decisions(300)
    wait_until(
        lambda: pipeline.collector.metric("otelcol_exporter_queue_size") > 0,
        why="they are in the queue",
    )
    pipeline.collector.kill()
    pipeline.collector.start()
    pipeline.jaeger.start()

    assert pipeline.arrived(sent).keys() == sent.keys()
