"""Names and descriptions of the service's metrics, which app/utils/metrics.py declares."""

from collections.abc import Iterator

from prometheus_client import Counter, Gauge, Histogram

from app.utils import metrics
from app.utils.metrics import ScrapeGauge, series_name


def described() -> Iterator[tuple[str, str, str]]:
    """Name, labels and description of every metric."""
    for metric in vars(metrics).values():
        if isinstance(metric, (Counter, Gauge, Histogram)):
            (family,) = metric.describe()
            labels = ", ".join(metric._labelnames)  # pylint: disable=protected-access
            yield series_name(metric), labels, family.documentation
        elif isinstance(metric, ScrapeGauge):
            yield metric.name, ", ".join(metric.labels), metric.text


REQUESTS = series_name(metrics.REQUESTS)
DURATION = series_name(metrics.DURATION)
IN_PROGRESS = series_name(metrics.IN_PROGRESS)
REQUEST_BYTES = series_name(metrics.REQUEST_BYTES)
RESPONSE_BYTES = series_name(metrics.RESPONSE_BYTES)
CACHE_REQUESTS = series_name(metrics.CACHE_REQUESTS)
CACHE_DURATION = series_name(metrics.CACHE_DURATION)
CACHE_WRITES_DROPPED = series_name(metrics.CACHE_WRITES_DROPPED)
CIRCUIT_STATE = series_name(metrics.CIRCUIT_STATE)
WORKER_EXITS = series_name(metrics.WORKER_EXITS)
APP_INFO = series_name(metrics.APP_INFO)
APP_WORKERS = series_name(metrics.APP_WORKERS)
APP_WORKER_THREADS = series_name(metrics.APP_WORKER_THREADS)
APP_DRAINING = series_name(metrics.APP_DRAINING)
PROCESS_THREADS = series_name(metrics.PROCESS_THREADS)
USERS_ACTIVE = series_name(metrics.USERS_ACTIVE)
SESSIONS_ACTIVE = series_name(metrics.SESSIONS_ACTIVE)
ITEMS_STORED = series_name(metrics.ITEMS_STORED)
