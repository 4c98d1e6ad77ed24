"""Collectors of metrics that are read at the scrape: build, workers, processes."""

import os
import platform
from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from app.config import Settings
from app.server import lifecycle
from app.utils import metrics


class ServiceCollector(Collector):
    """What this instance is, and its state."""

    def __init__(self, settings: Settings) -> None:
        self._threads = settings.web_threads
        self._replicas = settings.replicas
        build = settings.version, settings.commit, settings.environment
        self._info = *build, platform.python_version()
        self._built = _timestamp(settings.build_date)

    def collect(self) -> Iterator[Metric]:
        yield metrics.APP_INFO.family({self._info: 1})
        yield metrics.APP_BUILD_TIME.family(self._built)
        yield metrics.APP_WORKERS.family({(): len(lifecycle.workers())})
        yield metrics.APP_WORKER_THREADS.family({(): self._threads})
        yield metrics.APP_REPLICAS_WANTED.family({(): self._replicas})
        yield metrics.APP_DRAINING.family({(): lifecycle.draining()})


class WorkerProcessCollector(Collector):
    """CPU, memory, files and threads of every worker, as prometheus-client names them."""

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        threads: dict[tuple[str, ...], float] = {}
        for slot, pid in lifecycle.workers().items():
            if count := _threads(pid):
                threads[(str(slot),)] = count
            for metric in _process(pid):
                family = families.setdefault(metric.name, metric)
                samples = [each._replace(labels={"worker": str(slot)}) for each in metric.samples]
                family.samples = samples if family is metric else family.samples + samples
        yield from families.values()
        yield metrics.PROCESS_THREADS.family(threads)


def _timestamp(date: str) -> dict[tuple[()], float]:
    """The sample of a time in RFC 3339, or none."""
    try:
        parsed = datetime.fromisoformat(date)
    except ValueError:
        return {}
    return {(): parsed.timestamp()} if parsed.tzinfo else {}


def _process(pid: int) -> Iterable[Metric]:
    return ProcessCollector(pid=lambda: pid, registry=None).collect()


def _threads(pid: int) -> int:
    """Threads of a process; 0 if it is gone."""
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0
