"""Names and descriptions of the service's metrics, which app/utils/metrics.py declares."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase

from app.utils import metrics

# Read at the scrape: name and description, labels.
_AT_SCRAPE = {
    "app_info": ("What is running; always 1.", "version, commit, environment, python"),
    "app_workers": ("Living worker processes.", ""),
    "app_worker_threads": ("Requests that a worker can answer at a time.", ""),
    "app_draining": ("1 while the service is stopping.", ""),
    "process_threads": ("Number of OS threads in the process.", "worker"),
    "users_active": ("Different callers seen.", "window"),
    "sessions_active": ("Sessions that have not ended.", ""),
    "items_stored": ("Items stored.", ""),
}


def series_name(metric: MetricWrapperBase) -> str:
    """The name in PromQL: counters end in `_total`; that of a histogram without suffixes."""
    family = _family(metric)
    return f"{family.name}_total" if family.type == "counter" else family.name


def _family(metric: MetricWrapperBase) -> Metric:
    (family,) = metric.describe()
    return family


def described() -> Iterator[tuple[str, str, str]]:
    """Name, labels and description of every metric."""
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            labels = ", ".join(metric._labelnames)  # pylint: disable=protected-access
            yield series_name(metric), labels, _family(metric).documentation
    for name, (text, labels) in _AT_SCRAPE.items():
        yield name, labels, text


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
APP_INFO, APP_WORKERS, APP_WORKER_THREADS, APP_DRAINING, PROCESS_THREADS, *_others = _AT_SCRAPE
USERS_ACTIVE, SESSIONS_ACTIVE, ITEMS_STORED = _others
