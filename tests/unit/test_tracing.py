"""Which requests are traced, and what their spans say."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.factory import create_app
from app.services.cache_service import CacheService
from app.services.single_flight import SingleFlight
from app.utils import metrics, request_context, tracing
from app.utils.request_context import RequestContext
from app.utils.spans import MAX_SPANS, Description, Kind, Span, Trace
from app.utils.tracing import Tracing
from tests.support.app_parts import TOKEN, make_redis, make_settings, nowhere, sample
from tests.support.paths import ROOT
from tests.support.processes import output_of, run, wait_until

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Client:
    """The application, and the spans of its requests, which nothing sends."""

    def __init__(self, **environ: str) -> None:
        app = create_app(make_settings(**ENDPOINT | environ))
        self.traces: list[Trace] = []
        app.extensions["tracing"].finish = self._finish
        self._client: FlaskClient = app.test_client()

    def spans(self, method: str, path: str, **options: Any) -> list[Span]:
        """The spans of one request, that of the request last."""
        self.traces.clear()
        self._client.open(path, method=method, **options)
        return self.traces[0].ended

    def traced(self, path: str = "/api/v1/info", **headers: str) -> Trace | None:
        """The trace of a request, if it has one."""
        self.traces.clear()
        self._client.get(path, headers=headers)
        return self.traces[0] if self.traces else None

    def _finish(self, trace: Trace) -> None:
        trace.root.end()
        self.traces.append(trace)


@contextmanager
def traced_request() -> Iterator[Trace]:
    """Everything inside belongs to one traced request."""
    trace = Trace(TRACE, "")
    context = RequestContext("an-id", TRACE, "192.0.2.7", trace.root.span_id, trace=trace)
    token = request_context.set_current(context)
    yield trace
    request_context.reset(token)


@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:9"])
def test_no_package_of_opentelemetry_is_imported(endpoint: str) -> None:
    """redis-py imports the SDK where it is installed: memory that a service without traces pays."""
    program = (
        "import sys; from app.factory import create_app; app = create_app();"
        "app.extensions['tracing'].start(); app.test_client().get('/api/v1/info');"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.', 'google.'))])"
    )
    environ = {"APP_ENV": "testing", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    said = output_of(run([sys.executable, "-c", program], cwd=ROOT, env=environ))
    assert said.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "settings", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_SAMPLER": "always_off"}]
)
def test_tracing_can_be_turned_off_in_spite_of_an_endpoint(settings: dict[str, str]) -> None:
    assert Client(**settings).traced() is None


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics"])
def test_probes_and_scrapes_are_not_traced(path: str) -> None:
    assert Client().traced(path) is None


@pytest.mark.parametrize(
    ("sampler", "flags", "sampled"),
    [
        ("parentbased_traceidratio", "01", True),
        ("parentbased_traceidratio", "00", False),
        ("parentbased_always_off", "01", True),
        ("parentbased_always_on", "00", False),
        ("always_on", "00", True),
        ("always_off", "01", False),
        ("traceidratio", "00", True),  # of a trace ID that is below the ratio
    ],
)
def test_a_parentbased_sampler_does_as_the_caller_does_and_others_do_not(
    sampler: str, flags: str, sampled: bool
) -> None:
    client = Client(OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG="0.52")
    trace = client.traced(traceparent=f"00-{TRACE}-{PARENT}-{flags}")
    assert (trace is not None) == sampled
    if trace:
        assert (trace.trace_id, trace.root.parent) == (TRACE, PARENT)


@pytest.mark.parametrize(
    ("ratio", "below"),
    [("0", 0), ("0.1", 0x1999_9999_9999_9A00), ("0.5", 1 << 63), ("1", 1 << 64)],
)
def test_a_ratio_takes_the_trace_ids_that_the_sdk_takes(ratio: str, below: int) -> None:
    """Limits from opentelemetry-sdk 1.45, TraceIdRatioBased.get_bound_for_rate."""
    tracer = Tracing(make_settings(**ENDPOINT, OTEL_TRACES_SAMPLER_ARG=ratio))
    for low_bits, sampled in ((below - 1, True), (below, False)):
        if 0 <= low_bits < 1 << 64:
            context = RequestContext(f"{1:016x}{low_bits:016x}", None, "192.0.2.7")
            tracer.begin(context, None)
            assert (context.trace is not None) == sampled


@pytest.mark.parametrize(
    "traceparent", ["", f"00-{TRACE}-{PARENT}-00x", f"00-{'0' * 32}-{PARENT}-00"]
)
def test_without_a_valid_traceparent_the_request_id_is_the_trace_id_if_it_can_be(
    traceparent: str,
) -> None:
    client = Client()
    headers = {"traceparent": traceparent} if traceparent else {}
    for request_id in (TRACE, "0" * 32, TRACE.upper(), "mine"):
        trace = client.traced(**headers, **{"X-Request-ID": request_id})
        assert trace and not trace.root.parent
        assert (trace.trace_id == request_id) == (request_id == TRACE)


def test_the_span_of_a_request_is_named_by_its_route_and_says_nothing_that_a_client_chose() -> None:
    *_, root = Client().spans("GET", "/api/v1/cache/a-secret-key?token=secret")
    assert (root.is_a.name, root.kind) == ("GET /api/v1/cache/<key>", Kind.SERVER)
    assert root.is_a.attributes | root.attributes == {
        "http.request.method": "GET",
        "http.route": "/api/v1/cache/<key>",
        "http.response.status_code": 404,
        "url.scheme": "http",
        "url.path": "/api/v1/cache/REDACTED",
        "cache.hit": False,
    }
    assert root.failure is None


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/nope", "GET"),
        ("BREW", "/nope", "HTTP"),
        ("POST", "/api/v1/info", "POST"),  # 405: no rule matches
        ("GET", "/api/v1/demo/status/418", "GET /api/v1/demo/status/<code>"),
    ],
)
def test_scanners_make_no_names_of_spans(method: str, path: str, name: str) -> None:
    *_, root = Client().spans(method, path)
    assert (root.is_a.name, root.failure) == (name, None)


@pytest.mark.parametrize(
    ("path", "settings", "kind"),
    [
        ("/api/v1/demo/status/503", {}, "503"),
        ("/api/v1/items", {"REDIS_URL": nowhere()}, "RedisUnavailable"),
    ],
)
def test_a_5xx_is_an_error_of_its_cause(path: str, settings: dict[str, str], kind: str) -> None:
    *_, root = Client(**settings).spans("GET", path)
    assert root.attributes["error.type"] == kind
    assert root.failure


def test_each_round_trip_is_a_span_of_the_commands_without_keys_and_values() -> None:
    client = Client(API_TOKENS=TOKEN)
    options = {"json": {"pin": "a-secret"}, "headers": {"Authorization": f"Bearer {TOKEN}"}}
    spans = client.spans("PUT", "/api/v1/cache/a-secret", **options)
    look, store, root = spans
    assert {look.parent, store.parent} == {root.span_id}
    assert (look.kind, look.is_a.name) == (Kind.CLIENT, "GET PTTL")
    assert look.is_a.attributes == {
        "db.system.name": "redis",
        "db.operation.name": "PIPELINE",
        "db.operation.batch.size": 2,
        "db.query.summary": "GET PTTL",
    }
    assert (store.is_a.name, store.is_a.attributes["db.operation.name"]) == ("EVALSHA", "EVALSHA")
    assert "a-secret" not in repr([vars_of(each) for each in spans])


def vars_of(span: Span) -> dict[str, object]:
    return {name: getattr(span, name) for name in Span.__slots__} | {"is": span.is_a.attributes}


def test_an_open_circuit_and_a_failed_round_trip_are_told_apart() -> None:
    redis = make_redis(REDIS_URL=nowhere(), **ENDPOINT)
    cache = CacheService(make_settings(), redis)
    failed = []
    for _ in range(4):
        with traced_request() as trace:
            cache.get("key")
            failed.append((len(trace.ended), [name for name, _ in trace.root.events]))
            if trace.ended:
                assert trace.ended[0].attributes["error.type"] == "ConnectionError"
    assert failed == [(1, [])] * 3 + [(0, ["redis.circuit_open"])]


def test_waiting_for_another_thread_links_to_its_work() -> None:
    flights: SingleFlight[int] = SingleFlight()
    traces: list[Trace] = []
    finish = Event()

    def share() -> None:
        with traced_request() as trace:
            traces.append(trace)
            flights.share("key", lambda: int(finish.wait(10)))

    with ThreadPoolExecutor(2) as pool:
        pool.submit(share)
        wait_until(lambda: len(traces) == 1, why="one computes")
        pool.submit(share)
        wait_until(lambda: len(traces) == 2 and len(traces[1].open) == 2, why="the other waits")
        finish.set()

    leader, follower = traces
    (waited,) = follower.ended
    assert waited.link == (TRACE, leader.root.span_id)
    assert not leader.ended


def test_waiting_for_another_worker_is_a_span() -> None:
    redis = make_redis(**ENDPOINT)
    cache = CacheService(make_settings(), redis)
    redis.write(("SET", redis.key("lock", "key"), "another", "PX", 40))
    with traced_request() as trace:
        assert cache.get_or_set("key", 60, lambda: 1) == 1
    (waited,) = [span for span in trace.ended if span.kind is Kind.INTERNAL]
    assert waited.is_a.name == "wait for another worker's value"
    inside = [span for span in trace.ended if span.parent == waited.span_id]
    assert inside and {span.is_a.name for span in inside} == {"SET GET PTTL"}


def test_a_request_keeps_a_limited_number_of_spans_and_always_its_own() -> None:
    trace = Trace(TRACE, "")
    for _ in range(2 * MAX_SPANS):
        with trace.span(Description("GET", {}), Kind.CLIENT):
            pass
    trace.root.end()
    assert len(trace.ended) == MAX_SPANS + 1
    assert trace.ended[-1] is trace.root


@pytest.mark.parametrize("do", [lambda: tracing.event("x"), lambda: tracing.annotate("x", 1)])
def test_outside_of_a_traced_request_nothing_is_noted(do: Callable[[], None]) -> None:
    do()
    with tracing.span("x") as made:
        assert made is None
    assert tracing.here() is None


def test_a_bucket_gets_one_exemplar_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those between two scrapes are never seen, and each costs more than to count the request."""
    duration = metrics.DURATION.labels("GET", "/of-exemplars", "2xx")
    now = 1000.0
    monkeypatch.setattr("app.utils.metrics.time.monotonic", lambda: now)
    for number, (seconds, later) in enumerate([(0.02, 0.0), (0.02, 0.5), (0.3, 0.0), (0.02, 0.6)]):
        now += later
        metrics.observe_traced(duration, seconds, {"trace_id": TRACE, "span_id": f"{number:016x}"})

    # pylint: disable-next=protected-access
    found = [bucket.get_exemplar() for bucket in duration._buckets]
    assert [int(each.labels["span_id"]) for each in found if each] == [3, 2]
    assert (
        sample(metrics.DURATION, "_count", route="/of-exemplars", method="GET", status_class="2xx")
        == 4
    )
