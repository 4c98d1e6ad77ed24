"""Metrics that are read at the scrape: processes, workers, the build."""

import platform
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from app.config import Settings
from app.utils import lifecycle


class ServiceCollector(Collector):
    """What this instance is and how it stands."""

    def __init__(self, settings: Settings) -> None:
        self._threads = settings.web_threads
        self._info = {
            "version": settings.version,
            "commit": settings.commit,
            "environment": settings.environment,
            "python": platform.python_version(),
        }

    def collect(self) -> Iterator[Metric]:
        """The families, read now."""
        info = GaugeMetricFamily("app_info", "What is running; always 1.", labels=list(self._info))
        info.add_metric(list(self._info.values()), 1)
        yield info
        workers = len(lifecycle.workers())
        yield GaugeMetricFamily("app_workers", "Living worker processes.", value=workers)
        yield GaugeMetricFamily(
            "app_worker_threads", "Requests a worker can answer at a time.", value=self._threads
        )
        yield GaugeMetricFamily(
            "app_draining", "1 while the service is stopping.", value=float(lifecycle.draining())
        )


class WorkerProcessCollector(Collector):
    """CPU, memory, files and threads of every worker, as prometheus-client names them."""

    def collect(self) -> Iterator[Metric]:
        """The families, each with a sample per worker; a worker that is just ending is left out."""
        families: dict[str, Metric] = {}
        for slot, pid in lifecycle.workers().items():
            labels = {"worker": str(slot)}
            for metric in (*_process(pid), _threads(pid)):
                samples = [sample._replace(labels=labels) for sample in metric.samples]
                if metric.name in families:
                    families[metric.name].samples.extend(samples)
                else:
                    metric.samples = samples
                    families[metric.name] = metric
        yield from families.values()


def _process(pid: int) -> Iterator[Metric]:
    yield from ProcessCollector(pid=lambda: pid, registry=None).collect()


def _threads(pid: int) -> Metric:
    family = GaugeMetricFamily("process_threads", "Number of OS threads in the process.")
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return family
    for line in status.splitlines():
        if line.startswith("Threads:"):
            family.add_metric([], int(line.split()[1]))
    return family
