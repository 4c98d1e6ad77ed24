"""What the spans of a GET from Redis cost: ours, and the same ones by OpenTelemetry's SDK.

Prints a JSON object with the microseconds of CPU that a request takes for them, encoding included
and sending not. PYTHONPATH leads to the SDK (variants.py).
"""

import importlib
import json
import os
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from app.utils import otlp
from app.utils.spans import Attributes, Description, Kind, Trace

REQUESTS, ROUNDS = 4_000, 5
REQUEST: Attributes = {"http.request.method": "GET", "http.route": "/api/v1/cache/<key>"}
ROUND_TRIP: Attributes = {"db.system.name": "redis", "server.address": "redis", "server.port": 6379}
REQUEST_SPAN, ROUND_TRIP_SPAN = Description("GET", REQUEST), Description("GET", ROUND_TRIP)


def ours() -> None:
    trace = Trace(os.urandom(16).hex(), "")
    trace.root.is_a = REQUEST_SPAN
    with trace.span(ROUND_TRIP_SPAN, Kind.CLIENT):
        pass
    trace.root.attributes["http.response.status_code"] = 200
    trace.root.end()
    for span in trace.ended:
        otlp.span(span)


def by_the_sdk(share: float) -> Callable[[], None]:
    """The same, of this share of the requests."""
    # By name: it is not in the environment in which code is checked.
    encode = sdk("exporter.otlp.proto.common.trace_encoder").encode_spans
    trace, kinds = sdk("sdk.trace"), sdk("trace").SpanKind
    exporter = SimpleNamespace(
        export=lambda spans: encode(spans).SerializeToString(), shutdown=lambda: None
    )
    sampler = sdk("sdk.trace.sampling").ParentBasedTraceIdRatio(share)
    provider = trace.TracerProvider(sampler=sampler)
    provider.add_span_processor(sdk("sdk.trace.export").BatchSpanProcessor(exporter))
    begin = provider.get_tracer("bench").start_as_current_span

    def request() -> None:
        with begin("GET", kind=kinds.SERVER, attributes=REQUEST) as span:
            with begin("GET", kind=kinds.CLIENT, attributes=ROUND_TRIP):
                pass
            span.set_attribute("http.response.status_code", 200)

    return request


def sdk(module: str) -> Any:
    return importlib.import_module(f"opentelemetry.{module}")


def microseconds(request: Callable[[], None]) -> float:
    """The CPU of one, in the best of some rounds; that of other threads counts."""
    rounds = []
    for _ in range(ROUNDS):
        before = time.process_time()
        for _ in range(REQUESTS):
            request()
        rounds.append((time.process_time() - before) / REQUESTS)
    return 1e6 * min(rounds)


if __name__ == "__main__":
    costs = {"ours": ours, "SDK, 10 %": by_the_sdk(0.1), "SDK, 100 %": by_the_sdk(1)}
    print(json.dumps({name: microseconds(request) for name, request in costs.items()}))
