"""The measurements, one function each; each returns figures by measure and variant."""

import json
import sys
from collections import defaultdict
from collections.abc import Sequence

from tests.performance import capacity
from tests.performance import instructions as callgrind
from tests.performance import latency as steady
from tests.performance import lists, scraping
from tests.performance.run import WORKERS, Run
from tests.performance.sink import outages, sink
from tests.performance.targets import Figures, figure
from tests.performance.variants import BARE, CACHED, INFO, OURS, TUTORIAL, Variant
from tests.performance.variants import sdk, traced, with_sdk, without_collector
from tests.support.processes import output_of, run as started

Readings = dict[tuple[str, str], list[float]]
"""By measure and variant."""


def throughput(run: Run) -> Figures:
    """Requests a second of every variant, through nginx."""
    found: Readings = defaultdict(list)
    for variant in run.turns(run.variants, run.effort.rounds):
        run.say(variant.name)
        with run.stage.proxied(variant, WORKERS) as proxy:
            run.capacity(proxy.port, CACHED, warm_up=True)
            paths = {"redis": CACHED, "info": INFO}
            if not run.paired:
                paths["cacheable"] = variant.cacheable
            for measure, path in paths.items():
                found[measure, variant.name].append(run.capacity(proxy.port, path))
    return _figures(found)


def start(run: Run) -> Figures:
    """Milliseconds from a variant's start to its first 200, without nginx."""
    found: Readings = defaultdict(list)
    for variant in run.turns(_few(run, OURS, TUTORIAL, BARE), run.effort.starts):
        with run.stage.server(variant, WORKERS) as service:
            found["start", variant.name].append(service.start_seconds * 1000)
    return _figures(found)


def latency(run: Run) -> Figures:
    """p99 at half of the tutorial's capacity, at a constant rate."""
    with run.stage.proxied(TUTORIAL, WORKERS) as proxy:
        reads = [run.capacity(proxy.port, CACHED) for _ in range(run.effort.few)]
    rate = figure(reads)["median"] / 2
    found: Readings = defaultdict(list)
    for variant in run.turns((OURS, TUTORIAL, BARE), run.effort.steady_rounds):
        with run.stage.proxied(variant, WORKERS) as proxy:
            reading = steady.measure(proxy.port, CACHED, rate, run.effort.seconds, run.cores.load)
            found["p99", variant.name].append(reading)
    return _figures(found)


def memory(run: Run) -> Figures:
    """Megabytes of master and four workers that have answered some thousand requests."""
    found: Readings = defaultdict(list)
    for variant in run.turns(_few(run, OURS, TUTORIAL, BARE), run.effort.few):
        with run.stage.server(variant, 4) as service:
            run.stage.fill(service)
            for path in (CACHED, INFO):
                run.capacity(service.port, path, warm_up=True)
            found["memory", variant.name].append(service.pss_bytes() / 1e6)
    return _figures(found)


def scaling(run: Run) -> Figures:
    """Two workers on two cores and one, without nginx, which would need cores as well."""
    if len(run.cores.all) < 2:
        raise RuntimeError("needs two cores")
    pair = frozenset(sorted(run.cores.all)[:2])
    found: Readings = defaultdict(list)
    for _ in range(run.effort.rounds):
        for workers, name in ((1, "1 worker"), (2, "2 workers")):
            with run.stage.server(OURS, workers, cores=pair) as service:
                run.capacity(service.port, INFO, warm_up=True)
                reading = capacity.measure(service.port, INFO, run.effort.seconds, run.cores.all)
                found["scaling", name].append(reading)
    return _figures(found)


def items(run: Run) -> Figures:
    """Milliseconds for a page from few and from many items, read past the cache."""
    return {"items": lists.page_milliseconds(run)}


def scrape(run: Run) -> Figures:
    """CPU milliseconds of a scrape: stock multiprocess mode, the service, and after deaths."""
    return {"scrape": scraping.costs(run)}


def instructions(run: Run) -> Figures:
    """Thousand instructions of a request in process, without and with a read from Redis."""
    variants = _few(run, OURS, BARE)
    for variant in variants:
        with run.stage.server(variant, 1) as service:  # compiles, and stores what is read
            run.stage.fill(service)
    found: Readings = {}
    counts = callgrind.measure(run.stage, variants, (INFO, CACHED))
    for variant, (info, cached) in zip(variants, counts, strict=True):
        found["instructions", variant.name] = [info / 1000]
        found["instructions redis", variant.name] = [cached / 1000]
    return _figures(found)


def tracing(run: Run) -> Figures:
    """CPU, p99, memory and instructions of reads from Redis: traced or not, without a collector.

    Beside them the tutorial without and with OpenTelemetry's automatic instrumentation, the service
    with the SDK installed, which redis-py imports, and the spans alone, by both.
    """
    found: Readings = defaultdict(list)
    with sink() as collector, outages() as collectors:
        variants = (OURS, *traced(collector))
        others = (*without_collector(collectors), *with_sdk(collector))
        rate = 0.0
        for variant in run.turns((*variants, *others), run.effort.rounds):
            run.say(variant.name)
            with run.stage.server(variant, 4) as service:
                run.stage.fill(service)
                run.capacity(service.port, CACHED, warm_up=True)
                before = service.cpu_seconds()
                answered = run.capacity(service.port, CACHED) * run.effort.seconds
                used = service.cpu_seconds() - before
                found["cpu traced", variant.name].append(used / answered * 1e6)
                found["memory traced", variant.name].append(service.pss_bytes() / 1e6)
                # Of the first one, OURS; the same for all.
                rate = rate or answered / run.effort.seconds / 4
                if not variant.peer:
                    reading = steady.measure(
                        service.port, CACHED, rate, run.effort.seconds, run.cores.load
                    )
                    found["p99 traced", variant.name].append(reading)
        counts = callgrind.measure(run.stage, variants, (CACHED,))
        for variant, (count,) in zip(variants, counts, strict=True):
            found["instructions traced", variant.name] = [count / 1000]
    return _figures(found | _spans())


def _spans() -> Readings:
    spans = [sys.executable, "-m", "tests.performance.spans"]
    costs = json.loads(output_of(started(spans, env={"PYTHONPATH": sdk()})))
    return {("cpu spans", name): [cost] for name, cost in costs.items()}


def _few(run: Run, *variants: Variant) -> Sequence[Variant]:
    return run.variants if run.paired else variants


def _figures(found: Readings) -> Figures:
    figures: Figures = {}
    for (measure, name), readings in found.items():
        figures.setdefault(measure, {})[name] = figure(readings)
    return figures
