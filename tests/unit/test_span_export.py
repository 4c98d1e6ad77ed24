"""Spans on their way: what is sent, and a collector that is slow, refuses or is gone."""

import logging
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from itertools import chain, repeat

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from opentelemetry.proto.trace.v1.trace_pb2 import SpanFlags, Status

from app.utils import span_export
from app.utils.span_export import QUEUE_SPANS, SpanExport
from app.utils.spans import Description, Kind, Trace
from tests.support.app_parts import make_settings
from tests.support.collector import Collector, values
from tests.support.processes import free_port, wait_until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(span_export, "INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(span_export, "PAUSES", (0.0, 0.01, 0.01))
    monkeypatch.setattr(span_export, "STOP_SECONDS", 10.0)
    caplog.set_level(logging.INFO)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


def a_trace(parent: str = PARENT, children: int = 1) -> Trace:
    trace = Trace(TRACE, parent)
    trace.root.is_a = Description("GET /ü", {})
    for _ in range(children):
        is_a = Description("GET", {"db.operation.batch.size": 300, "yes": True})
        with trace.span(is_a, Kind.CLIENT) as span:
            span.event("happened")
            span.link = (TRACE, PARENT)
            span.fail("READONLY", "Redis refuses")
    trace.root.end()
    return trace


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "app.tracing"]


def test_a_trace_arrives_as_it_is(collector: Collector) -> None:
    trace = a_trace()
    export = SpanExport(make_settings(**collector.env))
    export.put(trace)
    export.stop()

    child, root = collector.spans
    of_child, of_root = trace.ended
    assert (root.name, root.kind) == ("GET /ü", Sent.SPAN_KIND_SERVER)
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (TRACE, PARENT)
    assert child.parent_span_id == root.span_id == bytes.fromhex(of_root.span_id)
    assert (child.start_time_unix_nano, child.end_time_unix_nano) == (
        of_child.started,
        of_child.ended,
    )
    assert (child.name, child.kind) == ("GET", Sent.SPAN_KIND_CLIENT)
    assert values(child.attributes) == {
        "db.operation.batch.size": 300,
        "yes": True,
        "error.type": "READONLY",
    }
    assert tuple((each.name, each.time_unix_nano) for each in child.events) == of_child.events
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in child.links] == [(TRACE, PARENT)]
    assert (child.status.code, child.status.message) == (Status.STATUS_CODE_ERROR, "Redis refuses")
    assert root.status.code == Status.STATUS_CODE_UNSET
    remote = SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
    assert (bool(root.flags & remote), bool(child.flags & remote)) == (True, False)


def test_a_trace_without_a_caller_has_no_parent(collector: Collector) -> None:
    export = SpanExport(make_settings(**collector.env))
    export.put(a_trace(parent=""))
    export.stop()
    assert [bool(span.parent_span_id) for span in collector.spans] == [True, False]


def test_the_resource_is_the_service_and_its_instance_that_of_the_log(collector: Collector) -> None:
    settings = make_settings(
        **collector.env,
        INSTANCE_ID="web-1",
        OTEL_SERVICE_NAME="shop",
        OTEL_RESOURCE_ATTRIBUTES="service.name=other,service.instance.id=9,team=a%2Cb",
        OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20abc",
    )
    export = SpanExport(settings)
    export.put(a_trace())
    export.stop()
    (resource,) = collector.resources
    named = ("service.name", "service.instance.id", "team", "deployment.environment.name")
    assert [resource[name] for name in named] == ["shop", "web-1", "a,b", "testing"]
    assert collector.headers[0]["Authorization"] == "Bearer abc"


def test_new_headers_are_sent_without_a_restart(collector: Collector) -> None:
    export = SpanExport(make_settings(**collector.env, OTEL_EXPORTER_OTLP_HEADERS="a=old"))
    export.use(make_settings(**collector.env, OTEL_EXPORTER_OTLP_HEADERS="a=new"))
    export.put(a_trace())
    export.stop()
    assert collector.headers[0]["a"] == "new"


def test_a_collector_that_is_full_gets_the_batch_again(caplog: pytest.LogCaptureFixture) -> None:
    answers = chain([503, 429], repeat(200))
    with Collector(status=lambda: next(answers)) as collector:
        export = SpanExport(make_settings(**collector.env))
        export.put(a_trace())
        collector.wait_for(2)
        export.stop()
    assert len(collector.spans) == 2
    assert [line.rpartition(": ")[2] for line in lines(caplog)] == [
        "it answers 503",
        "The collector takes all traces again; 0 spans were lost",
    ]


def test_a_full_collector_is_left_alone_as_long_as_it_says() -> None:
    answers = chain([429], repeat(200))
    with Collector(status=lambda: next(answers)) as collector:
        collector.answer_headers = {"Retry-After": "1"}
        export = SpanExport(make_settings(**collector.env))
        export.put(a_trace())
        collector.wait_for(2)
        export.stop()
    first, second = collector.asked
    assert second - first >= 1


def test_a_batch_is_tried_once_more_after_the_last_pause() -> None:
    with Collector(status=lambda: 503) as collector:
        export = SpanExport(make_settings(**collector.env))
        export.put(a_trace())
        wait_until(lambda: len(collector.asked) == 4, why="three repetitions")
        export.stop()


@pytest.mark.parametrize("rejected", [1, 300])
def test_spans_that_a_collector_rejects_of_a_batch_are_counted_as_lost(
    collector: Collector, caplog: pytest.LogCaptureFixture, rejected: int
) -> None:
    partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message="no")
    collector.answer = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    export = SpanExport(make_settings(**collector.env))
    export.put(a_trace())
    wait_until(lambda: lines(caplog), why="it says so")
    collector.answer = ExportTraceServiceResponse().SerializeToString()
    export.put(a_trace())
    export.stop()
    assert len(collector.asked) == 2
    assert lines(caplog)[0].endswith("it rejects some of them")
    assert lines(caplog)[1].endswith(f"again; {rejected} spans were lost")


def test_an_answer_of_any_length_costs_little_memory(collector: Collector) -> None:
    collector.answer = bytes(2**25)
    export = SpanExport(make_settings(**collector.env))
    tracemalloc.start()
    export.put(a_trace())
    wait_until(lambda: collector.spans, why="it arrives")
    collector.answer = b""
    export.put(a_trace())
    collector.wait_for(4)
    export.stop()
    # The test's collector has the long answer as well, made before.
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**23


def test_spans_that_a_worker_leaves_behind_are_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(span_export, "STOP_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        export = SpanExport(make_settings(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}"))
        export.put(a_trace())
        with silent.accept()[0]:
            export.stop()
    assert [line.rpartition(": ")[2] for line in lines(caplog)] == [
        "it did not answer before the worker stopped"
    ]


@pytest.mark.parametrize(
    ("endpoint", "host", "port"),
    [
        ("http://[2001:db8::abcd]", "2001:db8::abcd", 80),
        ("https://[::1]", "::1", 443),
        ("http://[::1]:4318", "::1", 4318),
    ],
)
def test_an_ipv6_address_needs_no_port(endpoint: str, host: str, port: int) -> None:
    settings = make_settings(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    # pylint: disable-next=protected-access
    connection = span_export.Collector(settings, threading.Event())._connection
    assert (connection.host, connection.port) == (host, port)


def test_a_collector_that_refuses_a_batch_does_not_get_it_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[int] = []

    def refuse() -> int:
        asked.append(1)
        return 401

    with Collector(status=refuse) as collector:
        export = SpanExport(make_settings(**collector.env))
        export.put(a_trace())
        wait_until(lambda: lines(caplog), why="it says so")
        export.stop()
    assert len(asked) == 1
    assert lines(caplog)[0].endswith("it answers 401")


def test_a_collector_that_is_gone_is_named_once_and_so_is_its_return(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    export = SpanExport(make_settings(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}"))
    for _ in range(3):
        export.put(a_trace())
        wait_until(lambda: not export._queue, why="it is tried")  # pylint: disable=protected-access
    wait_until(lambda: lines(caplog), why="it says so")
    with Collector(port) as collector:
        for number in range(1, 5):
            export.put(a_trace())
            collector.wait_for(number)
        export.stop()

    gone, back = lines(caplog)
    assert gone.startswith(
        f"The collector at 127.0.0.1:{port} does not take all traces: Connection"
    )
    assert "takes all traces again" in back


def test_a_collector_that_hangs_costs_neither_memory_nor_more_than_the_limit_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(span_export, "STOP_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        export = SpanExport(make_settings(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}"))
        export.put(a_trace())
        with silent.accept()[0]:
            for _ in range(QUEUE_SPANS):
                export.put(a_trace())
        queued = len(export._queue)  # pylint: disable=protected-access
        export.stop()

    assert QUEUE_SPANS - 2 < queued <= QUEUE_SPANS
    assert [line.rpartition(": ")[2] for line in lines(caplog)] == ["it is too slow"]


def test_a_connection_that_the_collector_has_closed_loses_nothing(collector: Collector) -> None:
    export = SpanExport(make_settings(**collector.env))
    export.put(a_trace())
    collector.wait_for(2)
    # pylint: disable-next=protected-access
    export._collector._connection.sock.shutdown(socket.SHUT_RDWR)
    export.put(a_trace())
    collector.wait_for(4)
    export.stop()


def test_spans_of_many_threads_all_arrive(collector: Collector) -> None:
    export = SpanExport(make_settings(**collector.env))

    def put() -> None:
        for _ in range(100):
            export.put(a_trace())
            time.sleep(0)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    export.stop()
    assert len({span.span_id for span in collector.spans}) == 1600
