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


def __getattr__(metric: str) -> str:
    """The series of a metric of app/utils/metrics.py, by its name there: `names.REQUESTS`."""
    return series_name(getattr(metrics, metric))
