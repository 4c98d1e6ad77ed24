"""prometheus_client's multiprocess mode as it comes, with series that are given to it.

`python -m tests.performance.peers.stock_multiprocess FILE` is a worker that counts once on every
series of FILE and ends; its file, named by its process ID, stays. `application` is the scrape, as
the library's documentation has it.
"""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector


def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The sum over all files, as text."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    text = generate_latest(registry)
    headers = [("Content-Type", CONTENT_TYPE_LATEST), ("Content-Length", str(len(text)))]
    start_response("200 OK", headers)
    return [text]


def count(families: list[dict[str, Any]]) -> None:
    """Make every series, each as it is kept in this mode."""
    for family in families:
        samples = family["samples"]
        if family["type"] == "histogram":
            _count_histogram(family["name"], samples)
        elif samples:
            names = tuple(samples[0][1])
            metric = _made(family["name"], family["type"], names)
            for _, labels in samples:
                (metric.labels(**labels) if names else metric).inc()


def _made(name: str, kind: str, names: tuple[str, ...]) -> Counter | Gauge:
    registry = CollectorRegistry()
    if kind == "counter":
        return Counter(name, "-", names, registry=registry)
    return Gauge(name, "-", names, registry=registry, multiprocess_mode="livesum")


def _count_histogram(name: str, samples: list[Any]) -> None:
    buckets = sorted({float(labels["le"]) for _, labels in samples if "le" in labels})
    names = tuple(label for label in samples[0][1] if label != "le")
    histogram = Histogram(name, "-", names, buckets=buckets, registry=CollectorRegistry())
    for sample, labels in samples:
        if sample.endswith("_count"):
            (histogram.labels(**labels) if names else histogram).observe(0.01)


if __name__ == "__main__":
    count(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
