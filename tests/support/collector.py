"""A collector in the test: takes OTLP over HTTP and keeps the spans, as the .proto files say."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

# Generated modules make their classes when they are imported.
# pylint: disable=no-name-in-module
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

# pylint: enable=no-name-in-module

from tests.support.processes import wait_until


class Collector:  # pylint: disable=too-many-instance-attributes
    """Usage: `with Collector() as collector: …`; `collector.env` are the service's settings."""

    def __init__(self, port: int = 0, status: Callable[[], int] = lambda: 200) -> None:
        """`status` is the answer to each request; spans of one that is not a 200 are not kept."""
        self.answer = b""
        self.answer_headers: dict[str, str] = {}
        self.asked: list[float] = []
        """When each request came: seconds of the monotonic clock."""
        self.spans: list[Span] = []
        self.resources: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.status = status
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                owner.asked.append(time.monotonic())
                status = owner.status()
                if status == 200:
                    owner.take(self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in owner.answer_headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(owner.answer)))
                self.end_headers()
                self.wfile.write(owner.answer)

            def log_message(self, *_arguments: Any) -> None:  # pylint: disable=arguments-differ
                """Tests look at `spans` instead."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, kwargs={"poll_interval": 0.05}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.env = {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url}

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        assert (path, headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
        request = ExportTraceServiceRequest.FromString(body)
        (of_service,) = request.resource_spans
        self.bodies.append(body)
        self.headers.append(headers)
        self.resources.append(values(of_service.resource.attributes))
        for scope in of_service.scope_spans:
            self.spans.extend(scope.spans)

    def wait_for(self, number: int) -> list[Span]:
        """That many spans, at least."""
        wait_until(lambda: len(self.spans) >= number, why=f"{number} spans arrive")
        return self.spans

    def traces(self) -> dict[str, list[Span]]:
        """Spans by trace ID."""
        found: dict[str, list[Span]] = defaultdict(list)
        for span in self.spans:
            found[span.trace_id.hex()].append(span)
        return found

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def values(attributes: Any) -> dict[str, Any]:
    """Attributes of a span or resource."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def hang() -> int:
    """An answer that does not come while the test runs."""
    time.sleep(600)
    return 200
