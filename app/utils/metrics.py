"""The metrics, by the names that dashboards, rules and tests read, and their exposition.

Under Gunicorn several processes count, each in the files of its slot (see metric_store.py); in a
single process prometheus-client keeps the numbers itself.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    disable_created_metrics,
    values,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from app.utils import lifecycle
from app.utils.metric_reader import SlotReader
from app.utils.metric_store import SharedValue, SlotFiles

FOLDER = "METRICS_SLOTS"
"""Environment variable that the server's settings set for its workers: the slots' folder."""

_folder = Path(os.environ[FOLDER]) if FOLDER in os.environ else None
if _folder:
    SharedValue.enter(SlotFiles(_folder, lifecycle.current_slot()))
    values.ValueClass = SharedValue
_slots = SlotReader(_folder) if _folder else None
# Those of several processes have no one time of creation, and one process should look like many.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()

# 0.25 s is the latency objective, so it must be a bucket's edge.
DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CACHE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED = "unmatched"


def counter(name: str, text: str, *labels: str) -> Counter:
    """A counter in this service's registry; `name` without the suffix `_total`."""
    return Counter(name, text, labels, registry=REGISTRY)


REQUESTS = counter(
    "http_requests", "Requests answered; /metrics is not counted.", "method", "route", "status"
)
DURATION = Histogram(
    "http_request_duration_seconds",
    "Time from the request's arrival in the worker to its answer, in seconds.",
    ("method", "route", "status_class"),
    buckets=DURATION_BUCKETS,
    registry=REGISTRY,
)
IN_PROGRESS = Gauge(
    "http_requests_in_progress",
    "Requests being answered now.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
REQUEST_BYTES = counter("http_request_bytes", "Bytes of request bodies, as announced.", "route")
RESPONSE_BYTES = counter("http_response_bytes", "Bytes of response bodies.", "route")
CACHE_REQUESTS = counter("cache_requests", "Cache operations by outcome.", "operation", "result")
CACHE_DURATION = Histogram(
    "cache_operation_duration_seconds",
    "Time a cache operation spent in the store, in seconds.",
    ("operation",),
    buckets=CACHE_BUCKETS,
    registry=REGISTRY,
)
CACHE_WRITES_DROPPED = counter("cache_writes_dropped", "Cache writes lost: the store was away.")
CIRCUIT_STATE = Gauge(
    "cache_circuit_state",
    "Circuit breaker to the store, of the worst worker: 0 closed, 1 half-open, 2 open.",
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
SESSIONS_STARTED = counter("sessions_started", "Sessions started.")
ITEM_CHANGES = counter("item_changes", "Changes to items.", "action")
WORKER_EXITS = counter("worker_exits", "Workers that ended: recycled, or died unasked.", "reason")

# A counter that is absent until its first event hides that event from `increase()`.
for _action in ("create", "update", "delete"):
    ITEM_CHANGES.labels(_action)
for _reason in ("recycled", "died"):
    WORKER_EXITS.labels(_reason)
_OPERATIONS = ("get", "set", "delete", "get_or_set")
CACHE_DURATIONS = {each: CACHE_DURATION.labels(each) for each in _OPERATIONS}
CACHE_RESULTS = {
    (operation, result): CACHE_REQUESTS.labels(operation, result)
    for operation in _OPERATIONS
    for result in ("hit", "miss", "error", "bypass")
}


def enter_slot(slot: int) -> None:
    """Called in a new worker: from here on it counts under its slot."""
    if _folder:
        SharedValue.enter(SlotFiles(_folder, slot))


def leave_slot(slot: int) -> None:
    """Called in the master when a worker is gone: its gauges end, its counters go to the next."""
    if _slots:
        _slots.end_gauges(slot)


def method_label(method: str) -> str:
    """`method` if HTTP knows it, else `OTHER`, so that nobody can make series by inventing one."""
    return method if method in METHODS else "OTHER"


def exposition(accept: str, extra: Iterable[Collector]) -> tuple[bytes, str]:
    """All metrics of all workers of this instance.

    Args:
        accept: the scraper's `Accept` header, which chooses between Prometheus's text format
            and OpenMetrics.
        extra: collectors whose values are read now, at the scrape.

    Returns:
        The text and its content type.
    """
    registry = CollectorRegistry()
    if not _slots:
        registry.register(_Existing(REGISTRY))
    for collector in extra:
        registry.register(collector)
    encode, content_type = choose_encoder(accept)
    counted = _slots.text("openmetrics" in content_type) if _slots else b""
    return counted + encode(registry), content_type


class _Existing(Collector):
    """Presents another registry's metrics as one collector."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect()
