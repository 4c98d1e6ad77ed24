"""Traces of the running service: whole, none lost, joined to logs and metrics, no secrets."""

import random
import re
import signal
import socket
import string
import uuid
from collections.abc import Iterator

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.app_parts import BEARER, TOKEN
from tests.support.collector import Collector, values
from tests.support.load import BROKEN, REFUSED, Answer, Load, Request
from tests.support.processes import wait_until
from tests.support.service import EMBEDDED, Service, StartService, on_both_servers

INFO, CACHED, ITEMS = "/api/v1/info", "/api/v1/cache/key", "/api/v1/items"
WORKERS = 2


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


def mixed(total: int) -> Iterator[Request]:
    """Requests whose ID is that of their trace."""
    paths = [INFO, CACHED, ITEMS, "/nope", "/api/v1/demo/status/503"]
    for number in range(total):
        yield Request("GET", paths[number % len(paths)], headers={"X-Request-ID": uuid.uuid4().hex})


class Answered:
    """The IDs of the requests that were answered, and their paths."""

    def __init__(self) -> None:
        self.paths: dict[str, str] = {}

    def add(self, request: Request, answer: Answer, _body: bytes) -> None:
        if answer.status not in (BROKEN, REFUSED):
            self.paths[request.headers["X-Request-ID"]] = request.path


def assert_whole(path: str, spans: list[Span]) -> None:
    """One span of the request, and each round trip to Redis below it."""
    ids = {span.span_id for span in spans}
    (root,) = [span for span in spans if not span.parent_span_id]
    assert root.kind == Span.SPAN_KIND_SERVER
    assert all(span.parent_span_id in ids for span in spans if span is not root)
    trips = [span for span in spans if span.kind == Span.SPAN_KIND_CLIENT]
    assert bool(trips) == (path in (CACHED, ITEMS)), path


@pytest.mark.slow
@pytest.mark.timeout(300)
@on_both_servers
def test_no_trace_of_ten_thousand_requests_is_lost_over_ten_restarts_and_a_drain(
    start_service: StartService, collector: Collector, server: str
) -> None:
    settings = {"WEB_CONCURRENCY": str(WORKERS), "DRAIN_SECONDS": "1", "MAX_REQUESTS": "800"}
    answered = Answered()
    with start_service(server=server, **collector.env, **settings) as service:
        for _ in range(5):
            Load(service.port, mixed(2000), total=2000, on_answer=answered.add).run()
            if server == "granian":  # it has no MAX_REQUESTS
                replace_workers(service)
        with Load(service.port, mixed(100_000), on_answer=answered.add):
            service.send_signal(signal.SIGTERM)
            assert service.wait() == 0

    assert len(answered.paths) >= 10_000
    assert len({resource["process.pid"] for resource in collector.resources}) >= 10
    traces = collector.traces()
    assert not [each for each in answered.paths if each not in traces]
    for trace_id, path in answered.paths.items():
        assert_whole(path, traces[trace_id])


def replace_workers(service: Service) -> None:
    former = service.worker_pids()
    service.send_signal(signal.SIGHUP)
    wait_until(
        lambda: len(new := service.worker_pids()) == WORKERS and not new & former,
        why="the workers are replaced",
    )


@on_both_servers
def test_each_worker_sends_its_own_spans_and_lines_and_exemplars_lead_to_them(
    start_service: StartService, collector: Collector, server: str
) -> None:
    settings = {"WEB_CONCURRENCY": str(WORKERS), "INSTANCE_ID": "web-1", "DEMO_ENABLED": "true"}
    with start_service(server=server, **collector.env, **settings) as service:
        Load(service.port, mixed(400), connections=16, total=400, new_connection_every=4).run()
        workers = service.worker_pids()
        wait_until(
            lambda: {each["process.pid"] for each in collector.resources} == workers,
            why="every worker sends",
        )
        plain = service.scrape()
        openmetrics = service.manage(
            "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
        ).text
        service.stop()

        assert {each["service.instance.id"] for each in collector.resources} == {"web-1"}
        roots = {span.span_id.hex(): span for span in collector.spans if not span.parent_span_id}
        lines = [line for line in service.log_records if line["logger"] == "app.request"]
        sent = [line for line in lines if line["route"] != "/health/live"]
        assert len(sent) == len(roots) == 400
        for line in sent:
            assert (line["instance"], roots[line["span_id"]].trace_id.hex()) == (
                "web-1",
                line["trace_id"],
            )

    assert " # {" not in re.sub("(?m)^#.*", "", plain)
    found = re.findall(
        r'^http_request_duration_seconds_bucket\{.*route="(.*?)".* # \{span_id="(\w+)",',
        openmetrics,
        re.M,
    )
    assert {route for route, _ in found} == {INFO, "/api/v1/cache/<key>", ITEMS, "unmatched"} | {
        "/api/v1/demo/status/<code>"
    }
    for route, span_id in found:
        assert values(roots[span_id].attributes).get("http.route", "unmatched") == route


def test_a_callers_trace_goes_on_here_if_the_caller_records_it(
    start_service: StartService, collector: Collector
) -> None:
    with start_service(redis=EMBEDDED, **collector.env, OTEL_TRACES_SAMPLER_ARG="0") as service:
        for flags, trace_id in (("00", "1" * 32), ("01", "2" * 32)):
            headers = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-{flags}"}
            service.get(INFO, headers=headers)
        service.get(INFO)
        service.stop()
    (span,) = collector.spans
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == ("2" * 32, "b7ad6b7169203331")


def test_workers_that_load_changed_code_trace_as_well(
    start_service: StartService, collector: Collector
) -> None:
    with start_service(redis=EMBEDDED, RELOAD="true", **collector.env) as service:
        service.get(INFO)
        collector.wait_for(1)


@pytest.mark.slow
def test_after_a_reload_of_code_and_settings_traces_go_on(
    start_service: StartService, collector: Collector
) -> None:
    with start_service(WEB_CONCURRENCY="2", **collector.env) as service:
        service.send_signal(signal.SIGHUP)
        service.wait_for_boots(4)
        service.get(CACHED, headers={"X-Request-ID": (trace_id := uuid.uuid4().hex)})
        service.stop()
    assert_whole(CACHED, collector.traces()[trace_id])


@on_both_servers
def test_a_collector_that_hangs_delays_neither_an_answer_nor_the_stop(
    start_service: StartService, server: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts, and never answers
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "60000",
        }
        with start_service(redis=EMBEDDED, server=server, **settings) as service:
            service.get(INFO)
            silent.settimeout(20)
            with silent.accept()[0]:
                assert service.get(INFO).status_code == 200
                service.send_signal(signal.SIGTERM)
                assert service.wait(seconds=30) == 0  # not the minute of the export


def secretive(secret: str, total: int) -> Iterator[Request]:
    """Requests of all kinds, with the secret wherever a client may put one."""
    rng = random.Random(total)
    paths = ["/api/v1/cache/{}", "/api/v1/items/{}", "/api/v1/items?cursor={}", "/{}", "/docs?{}"]
    paths += ["/api/v1/session?{}", "/api/v1/demo/echo?x={}", "/api/v1/demo/{}/1", "/static/{}"]
    names = ["User-Agent", "Referer", "Cookie", "Authorization", "X-Forwarded-For", "tracestate"]
    names += ["baggage", "If-Match", "Idempotency-Key", "Accept", "X-Anything", "Content-Type"]
    for _ in range(total):
        noise = "".join(rng.choices(string.ascii_letters + "%/;,=", k=rng.randrange(6)))
        headers = {name: f"{secret}{noise}" for name in rng.sample(names, 4)} | token(rng)
        method = rng.choice(("GET", "PUT", "POST", "DELETE", "PATCH", secret.upper()))
        body = f'{{"name": "{secret}", "{secret}": 1}}'.encode() if rng.random() < 0.5 else None
        yield Request(method, rng.choice(paths).format(secret + noise), body, headers)


def token(rng: random.Random) -> dict[str, str]:
    return {**BEARER, "Content-Type": "application/json"} if rng.random() < 0.5 else {}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_secret_of_twenty_thousand_requests_is_in_a_span(
    start_service: StartService, collector: Collector
) -> None:
    secret = "hunter2hunter2"
    with start_service(WEB_CONCURRENCY="2", API_TOKENS=TOKEN, **collector.env) as service:
        answers = Load(service.port, secretive(secret, 20_000), connections=8, seconds=280).run()
        service.stop()
    assert len(answers) == 20_000
    assert len(collector.traces()) > 15_000  # the rest is not HTTP, and refused before
    sent = b"".join(collector.bodies).lower()
    for each in (secret, TOKEN):
        assert each.lower().encode() not in sent


def test_the_collectors_headers_are_never_printed(start_service: StartService) -> None:
    settings = {"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20a-secret"}
    with Collector(status=lambda: 401) as collector:
        with start_service(redis=EMBEDDED, **collector.env, **settings) as service:
            service.get(INFO)
            wait_until(lambda: service.messages("does not take all traces"), why="it is refused")
            service.stop()
            printed = "".join(service.log_lines) + service.stderr
    assert "a-secret" not in printed
