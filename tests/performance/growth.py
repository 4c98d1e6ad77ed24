"""How the service's costs grow: with workers, routes, label sets, items and the body's size."""

from typing import Any

from tests.performance import capacity, instructions, lists, scrape
from tests.performance.figures import figure
from tests.performance.run import Run
from tests.performance.variants import INFO, OURS
from tests.support.load import Load

WORKERS = (1, 2, 4, 8)
ROUTES = (0, 100, 1000)
SHARES = (0.1, 0.5, 1.0)
ITEMS = (1_000, 10_000, 100_000, 1_000_000)
BODIES = (200, 2_000, 20_000, 200_000)


def growth(run: Run) -> dict[str, Any]:
    """Each cost at several sizes of what it may depend on."""
    quick = run.effort.quick
    pages = lists.page_seconds(run, list(ITEMS[:3] if quick else ITEMS))
    return {
        "workers": {str(count): _with_workers(run, count) for count in WORKERS},
        "routes": {str(count): _with_routes(run, count) for count in ROUTES},
        "label sets": dict(_with_series(run, share) for share in SHARES),
        "items": {f"{count:,}": {"page ms": 1000 * f["median"]} for count, f in pages.items()},
        "body": {f"{size:,} bytes": _with_body(run, size) for size in BODIES},
    }


def _with_workers(run: Run, count: int) -> dict[str, float]:
    with run.stage.server(OURS, count, cores=run.cores.all) as service:
        capacity.measure(service.port, INFO, run.warm_up)
        read = capacity.measure(service.port, INFO, run.load, [service])
        scraped = scrape.cost(service, run)["median"]
        return {
            "requests/s": read.per_second,
            "CPU µs": read.cpu_us,
            "memory MB": service.pss_bytes() / 1e6,
            "scrape CPU ms": scraped,
        }


def _with_routes(run: Run, count: int) -> dict[str, float]:
    [counted] = instructions.measure(run.stage, [(OURS, INFO)], more_routes=count)
    return {"instructions, thousands": counted / 1000}


def _with_series(run: Run, share: float) -> tuple[str, dict[str, float]]:
    """The number of series there are in the end, and what a scrape of them takes."""
    extra = {"DEMO_ENABLED": "true"}
    requests = scrape.REQUESTS[: round(share * len(scrape.REQUESTS))]
    with run.stage.server(OURS, run.workers, cores=run.cores.all, extra=extra) as service:
        for _ in range(scrape.TIMES // 2):
            Load(service.port, requests, connections=4, total=len(requests)).run()
        series = sum(len(family["samples"]) for family in scrape.families(service))
        return f"{series:,}", {"scrape CPU ms": scrape.cost(service, run)["median"]}


def _with_body(run: Run, size: int) -> dict[str, float]:
    with run.stage.server(OURS, run.workers) as service:
        run.stage.fill(service, f"body-{size}", "x" * size)
        path = f"/api/v1/cache/body-{size}"
        capacity.measure(service.port, path, run.warm_up)
        reads = [
            capacity.measure(service.port, path, run.load, [service]) for _ in range(run.effort.few)
        ]
        return {
            "requests/s": figure([read.per_second for read in reads])["median"],
            "CPU µs": figure([read.cpu_us for read in reads])["median"],
        }
