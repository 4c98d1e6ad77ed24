"""The measurements, one function each: what is started, what is loaded, what is kept."""

from contextlib import ExitStack
from typing import Any

from tests.performance import capacity, constant_rate, instructions
from tests.performance.capacity import Load
from tests.performance.figures import Figure, figure
from tests.performance.proxy import peer_nginx
from tests.performance.run import Run
from tests.performance.variants import (
    ALL,
    BARE,
    CACHED,
    INFO,
    LIBRARIES,
    OURS,
    TUTORIAL,
    Variant,
)

Readings = dict[str, list[float]]


def throughput(run: Run) -> dict[str, Any]:
    """Requests a second, latency and CPU time of every variant, through nginx."""
    found: dict[str, dict[str, Readings]] = {}
    for number in range(run.effort.rounds):
        # Each round begins with another one: none is always the first after a pause.
        offered = run.offered(ALL)
        turn = number % len(offered)
        for variant in offered[turn:] + offered[:turn]:
            run.say(f"round {number + 1} of {run.effort.rounds}: {variant.name}")
            _one_round(run, variant, found.setdefault(variant.name, {}))
    return {
        name: {
            path: {what: figure(values) for what, values in kept.items()}
            for path, kept in of.items()
        }
        for name, of in found.items()
    }


def _one_round(run: Run, variant: Variant, found: dict[str, Readings]) -> None:
    with run.stage.proxied(variant, run.workers) as (service, proxy):
        capacity.measure(proxy.port, CACHED, run.warm_up)
        for path, kind in ((CACHED, "redis"), (INFO, "info"), (variant.cacheable, "cacheable")):
            read = capacity.measure(proxy.port, path, run.load, [service])
            readings = found.setdefault(kind, {})
            for what in ("per_second", "p50_ms", "p99_ms", "cpu_us"):
                readings.setdefault(what, []).append(getattr(read, what))


def start(run: Run) -> dict[str, Figure]:
    """Seconds until a variant that has just been started gives its first 200, without nginx.

    Peers load in each worker, and Gunicorn waits a random while between two of them: what they
    take varies by half, so there are three times as many rounds as of other things.
    """
    found: Readings = {}
    variants = (OURS, TUTORIAL, BARE) if run.effort.quick else (*ALL[:-1], LIBRARIES)
    for _ in range(3 * run.effort.rounds):
        for variant in run.offered(variants):
            with run.stage.server(variant, run.workers) as service:
                found.setdefault(variant.name, []).append(service.start_seconds)
    return {name: figure(readings) for name, readings in found.items()}


def floor(run: Run) -> dict[str, Figure]:
    """What nginx and Redis do by themselves: no service can be above it."""
    folder = run.stage.new_folder("floor")
    (folder / "www").mkdir()
    (folder / "www" / "file.json").write_text('{"status":"healthy"}', encoding="utf-8")
    found: Readings = {}
    with peer_nginx("floor", folder, run.cores.proxy, ready="/return") as nginx:
        for _ in range(run.effort.few):
            for name, path in (("nginx return 200", "/return"), ("nginx file", "/file.json")):
                read = capacity.measure(nginx.port, path, run.load)
                found.setdefault(name, []).append(read.per_second)
            found.setdefault("redis-benchmark GET", []).append(_redis_benchmark(run))
    return {name: figure(readings) for name, readings in found.items()}


def _redis_benchmark(run: Run) -> float:
    port = run.stage.redis_url.rpartition(":")[2].partition("/")[0]
    command = ["redis-benchmark", "-p", port, "-t", "get", "-n", "100000", "-d", "200"]
    text = capacity.run_on(run.cores.load, [*command, "-c", str(capacity.CONNECTIONS), "--csv"])
    return float(text.strip().splitlines()[-1].split(",")[1].strip('"'))


def count_instructions(run: Run) -> dict[str, dict[str, int]]:
    """Instructions per request in process: without and with a read from Redis."""
    variants = [OURS, BARE] if run.effort.quick else [OURS, BARE, TUTORIAL]
    paths = {"info": INFO} if run.effort.quick else {"info": INFO, "redis": CACHED}
    cases = [(variant, kind) for variant in variants for kind in paths]
    with ExitStack() as running:
        for variant in variants if "redis" in paths else []:
            service = running.enter_context(run.stage.server(variant, 1))
            run.stage.fill(service)
    counted = instructions.measure(run.stage, [(variant, paths[kind]) for variant, kind in cases])
    found: dict[str, dict[str, int]] = {}
    for (variant, kind), number in zip(cases, counted, strict=True):
        found.setdefault(variant.name, {})[kind] = number
    return found


def latency(run: Run) -> dict[str, Any]:
    """p50 and p99 at half of the tutorial's capacity, requests leaving by the clock."""
    with run.stage.proxied(TUTORIAL, run.workers) as (_, proxy):
        reads = [capacity.measure(proxy.port, CACHED, run.load) for _ in range(run.effort.few)]
    rate = round(figure([read.per_second for read in reads])["median"] / 2)
    found: dict[str, Readings] = {}
    for _ in range(run.effort.steady_rounds):
        for variant in run.offered((OURS, TUTORIAL, BARE)):
            with run.stage.proxied(variant, run.workers) as (_service, proxy):
                read = constant_rate.measure(
                    proxy.port, CACHED, rate=rate, seconds=run.effort.steady, cores=run.cores.load
                )
            for what in ("p50_ms", "p99_ms", "p999_ms"):
                found.setdefault(variant.name, {}).setdefault(what, []).append(getattr(read, what))
    return {
        "rate": rate,
        **{name: {what: figure(of[what]) for what in of} for name, of in found.items()},
    }


def memory(run: Run) -> dict[str, Figure]:
    """Memory of master and four workers that have answered some thousand requests."""
    found: Readings = {}
    variants = (OURS, TUTORIAL) if run.effort.quick else (*ALL[:-1], LIBRARIES)
    for _ in range(run.effort.few):
        for variant in run.offered(variants):
            found.setdefault(variant.name, []).append(memory_of(run, variant))
    return {name: figure(readings) for name, readings in found.items()}


def memory_of(run: Run, variant: Variant) -> float:
    """Megabytes of a variant's master and four workers."""
    with run.stage.server(variant, 4) as service:
        run.stage.fill(service)
        for path in (CACHED, INFO):
            capacity.measure(service.port, path, run.warm_up)
        return service.pss_bytes() / 1e6


def scaling(run: Run) -> dict[str, Figure]:
    """Two workers on two cores against one, without nginx, which would need cores as well."""
    found: Readings = {}
    if len(run.cores.all) < 2:
        return {}
    pair = frozenset(sorted(run.cores.all)[:2])
    load = Load(run.effort.seconds, run.cores.all)
    for _ in range(run.effort.rounds):
        for workers in (1, 2):
            with run.stage.server(OURS, workers, cores=pair) as service:
                capacity.measure(service.port, INFO, run.warm_up)
                read = capacity.measure(service.port, INFO, load)
                found.setdefault(f"{workers}", []).append(read.per_second)
    return {name: figure(readings) for name, readings in found.items()}
