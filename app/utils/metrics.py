"""Every metric of this service, by the names that dashboards, rules and tests read.

Under a server several processes count, each in the files of its slot (metric_store.py). A single
process keeps the numbers in its own memory.
"""

import re
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    disable_created_metrics,
    values,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from app.utils.metric_reader import SlotReader
from app.utils.metric_store import Cells, SharedValue

values.ValueClass = SharedValue  # before the first metric is made
# Metrics of several processes have no single time of creation.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()

# 0.25 s is the latency objective, so it must be the upper limit of a bucket.
DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COARSER_BUCKETS = (0.025, 0.1, 0.25, 1.0, 5.0), (0.25, 2.5)
"""For many routes on many instances (`fit_buckets`)."""
EXEMPLAR_SECONDS = 1.0
"""Less than a scrape's interval: others would never be seen."""
SERIES_BUDGET = 500_000
"""Series of all instances together that Prometheus, with its limits here, holds well."""
CACHE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED = "unmatched"
"""The route of a request that matches no URL rule."""


def counter(name: str, text: str, *labels: str) -> Counter:
    """A counter in this service's registry; `name` without the suffix `_total`."""
    return Counter(name, text, labels, registry=REGISTRY)


@dataclass(frozen=True, slots=True)
class ScrapeGauge:
    """A gauge whose values are read at the scrape, by a collector."""

    name: str
    text: str
    labels: tuple[str, ...] = ()

    def family(self, samples: Mapping[Any, float]) -> Metric:
        """The gauge with these samples: value by tuple of label values."""
        family = GaugeMetricFamily(self.name, self.text, labels=self.labels)
        for labels, value in samples.items():
            family.add_metric(labels, value)
        return family


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
    "Time that a cache operation spent in Redis, in seconds.",
    ("operation",),
    buckets=CACHE_BUCKETS,
    registry=REGISTRY,
)
CACHE_WRITES_DROPPED = counter(
    "cache_writes_dropped", "Cache writes lost because Redis was unavailable or full."
)
CIRCUIT_STATE = Gauge(
    "cache_circuit_state",
    "Circuit breaker to Redis, of the worst worker: 0 closed, 1 half-open, 2 open.",
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
SESSIONS_STARTED = counter("sessions_started", "Sessions started.")
ITEM_CHANGES = counter("item_changes", "Changes to items.", "action")
WORKER_EXITS = counter("worker_exits", "Workers that ended: recycled, or died.", "reason")

APP_INFO = ScrapeGauge(
    "app_info", "What is running; always 1.", ("version", "commit", "environment", "python")
)
APP_BUILD_TIME = ScrapeGauge(
    "app_build_timestamp_seconds", "BUILD_DATE; in the pipeline's images the time of the commit."
)
APP_WORKERS = ScrapeGauge("app_workers", "Living worker processes.")
APP_WORKER_THREADS = ScrapeGauge(
    "app_worker_threads", "Requests that a worker can answer at a time."
)
APP_REPLICAS_WANTED = ScrapeGauge("app_replicas_wanted", "Instances that should run; 0 if unknown.")
APP_DRAINING = ScrapeGauge("app_draining", "1 while the service is stopping.")
PROCESS_THREADS = ScrapeGauge(
    "process_threads", "Number of OS threads in the process.", ("worker",)
)
USERS_ACTIVE = ScrapeGauge("users_active", "Different callers seen.", ("window",))
SESSIONS_ACTIVE = ScrapeGauge("sessions_active", "Sessions that have not ended.")
ITEMS_STORED = ScrapeGauge("items_stored", "Items stored.")

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


AnyMetric = Counter | Gauge | Histogram | ScrapeGauge


def series_name(metric: AnyMetric) -> str:
    """The name of a metric's series as PromQL has it; a histogram's without its suffixes."""
    if isinstance(metric, ScrapeGauge):
        return metric.name
    family = next(iter(metric.describe()))
    return f"{family.name}_total" if family.type == "counter" else family.name


def fit_buckets(routes: int, instances: int) -> None:
    """Give `DURATION` the finest buckets whose series fit into the budget, else the coarsest.

    A route is counted with two methods and, for each, two classes of statuses.
    """
    fitting = (
        buckets
        for buckets in (DURATION_BUCKETS, *COARSER_BUCKETS)
        if routes * 4 * (len(buckets) + 3) * max(instances, 1) <= SERIES_BUDGET
    )
    # How the library hands buckets down to the children, which are made later.
    # pylint: disable-next=protected-access
    DURATION._kwargs["buckets"] = next(fitting, COARSER_BUCKETS[-1])


def duration_limits() -> tuple[float, ...]:
    """The upper limits of the buckets that `DURATION` has here."""
    limits: tuple[float, ...] = DURATION._kwargs["buckets"]  # pylint: disable=protected-access
    return limits


def method_label(method: str) -> str:
    """`method` if HTTP knows it, else `OTHER`, so that clients cannot create series."""
    return method if method in METHODS else "OTHER"


def observe_traced(duration: Any, seconds: float, ids: dict[str, str]) -> None:
    """Count a duration; the bucket that it falls into leads to its trace, one a second at most.

    Args:
        duration: the child of `DURATION`.
        ids: `trace_id` and `span_id`.
    """
    # pylint: disable-next=protected-access
    bucket = duration._buckets[bisect_left(duration._upper_bounds, seconds)]
    now = time.monotonic()
    if now - bucket.marked_at < EXEMPLAR_SECONDS:
        duration.observe(seconds)
        return
    bucket.marked_at = now
    duration.observe(seconds, ids)


class _Storage:
    """Where the counts of all processes are; None for a single process."""

    folder: Path | None = None
    reader: SlotReader | None = None


def store_in(folder: Path, slot: int = 0) -> None:
    """From here on, this process and its children count in files in `folder`."""
    _Storage.folder, _Storage.reader = folder, SlotReader(folder)
    enter_slot(slot)


def enter_slot(slot: int) -> None:
    """Called in a new worker: from here on it counts under its slot."""
    if _Storage.folder:
        SharedValue.enter(Cells(_Storage.folder, slot))


def leave_slot(slot: int) -> None:
    """Called in the master when a worker is gone: its gauges end, its counters stay."""
    if _Storage.reader:
        _Storage.reader.end_gauges(slot)


def _known_versions(accept: str) -> str:
    """The header without quotes and without versions that the library cannot read."""
    return re.sub(
        r"version=(?![0-9]+\.[0-9]+\.[0-9]+\s*(?:[,;]|$))[^,;]*", "", accept.replace('"', "")
    )


def exposition(accept: str, collectors: Iterable[Collector]) -> tuple[bytes, str]:
    """All metrics of all workers of this instance: the text and its content type.

    Args:
        accept: the scraper's `Accept` header; it chooses Prometheus's text format or OpenMetrics.
        collectors: those whose values are read now.
    """
    registry = CollectorRegistry()
    if not _Storage.reader:
        registry.register(REGISTRY)  # it has what a collector needs
    for collector in collectors:
        registry.register(collector)
    encode, content_type = choose_encoder(_known_versions(accept))
    openmetrics = "openmetrics" in content_type
    counted = _Storage.reader.text(openmetrics) if _Storage.reader else b""
    return counted + encode(registry), content_type
