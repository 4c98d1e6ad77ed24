"""prometheus_client's multiprocess mode as it comes, with another service's series.

SERIES names a file with the text of a scrape; each worker counts once on each of its series.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families


def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The sum over all files, as text."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    text = generate_latest(registry)
    headers = [("Content-Type", CONTENT_TYPE_LATEST), ("Content-Length", str(len(text)))]
    start_response("200 OK", headers)
    return [text]


def count(family: Metric) -> None:
    """Make every series of a metric."""
    registry, samples = CollectorRegistry(), family.samples
    names = [label for label in samples[0].labels if label != "le"]
    metric: Counter | Gauge | Histogram
    if family.type == "histogram":
        samples = [sample for sample in samples if sample.name.endswith("_count")]
        buckets = {float(one.labels["le"]) for one in family.samples if "le" in one.labels}
        metric = Histogram(family.name, "-", names, buckets=sorted(buckets), registry=registry)
    elif family.type == "counter":
        metric = Counter(family.name, "-", names, registry=registry)
    else:
        metric = Gauge(family.name, "-", names, registry=registry, multiprocess_mode="livesum")
    for sample in samples:
        series = metric.labels(**sample.labels) if names else metric
        if isinstance(series, Histogram):
            series.observe(0.01)
        else:
            series.inc()


for each in text_string_to_metric_families(Path(os.environ["SERIES"]).read_text(encoding="utf-8")):
    if each.samples:
        count(each)
Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], f"counted-{os.getpid()}").touch()
