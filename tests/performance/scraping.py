"""The cost of a scrape: of the service, and of stock multiprocess mode with the same series."""

import sys
import time
import urllib.request

from tests.performance.process import Server
from tests.performance.run import Run
from tests.performance.targets import Figure, figure
from tests.performance.variants import OURS
from tests.support.load import Load
from tests.support.processes import free_port, wait_until

WORKERS = 8
SCRAPES = 30
DEATHS = 50
# They make series: routes, methods and status classes for histograms, statuses for counters.
ROUTES = (
    "/ /docs /openapi.json /health /health/live /health/ready /api/v1/info /api/v1/cache"
    " /api/v1/cache/none /api/v1/items /api/v1/items/none /api/v1/session /api/v1/stats"
    " /api/v1/demo/delay/0 /api/v1/demo/status/200"
).split()
METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE")
STATUSES = [f"/api/v1/demo/status/{code}" for code in range(201, 300)]
REQUESTS = [
    *((method, route) for method in METHODS for route in ROUTES),
    *((method, path) for path in STATUSES for method in ("GET", "HEAD")),
]
# Each time over new connections, so that in the end every worker has counted nearly every series.
TIMES = 30
IDLE_SECONDS = 2.0


def costs(run: Run) -> dict[str, Figure]:
    """CPU milliseconds of a scrape at eight workers: the service, after deaths, and stock mode."""
    cores = run.cores.all
    extra = {"DEMO_ENABLED": "true"}
    with run.stage.server(OURS, WORKERS, cores=cores, extra=extra) as service:
        _count_on_every_worker(service)
        series = _scrape(service)
        found = {"ours": _cost(service, run)}
        for _ in range(DEATHS):
            service.kill_worker()
            Load(service.port, REQUESTS, connections=8, total=40).run()
        _count_on_every_worker(service)
        found[f"after {DEATHS} deaths"] = _cost(service, run)

    folder = run.stage.new_folder("stock")
    (folder / "series").write_bytes(series)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
    command += ["--workers", str(WORKERS), "--no-control-socket"]
    command += ["tests.performance.peers.stock_multiprocess:application"]
    env = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "SERIES": str(folder / "series")}
    with Server("stock", command, port=port, folder=folder, cores=cores, env=env) as stock:
        wait_until(
            lambda: len(list(folder.glob("counted-*"))) == WORKERS,
            seconds=60,
            why="every worker has counted",
        )
        found["stock"] = _cost(stock, run)
    return found


def _count_on_every_worker(service: Server) -> None:
    for _ in range(TIMES):
        Load(service.port, REQUESTS, connections=WORKERS, total=len(REQUESTS)).run()


def _scrape(service: Server) -> bytes:
    url = f"http://127.0.0.1:{service.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: bytes = answer.read()
        return text


def _cost(service: Server, run: Run) -> Figure:
    """CPU milliseconds of all processes for one scrape, less what they spend without one."""
    before = service.cpu_seconds()
    time.sleep(IDLE_SECONDS)
    idle = (service.cpu_seconds() - before) / IDLE_SECONDS
    readings = []
    for _ in range(max(3, run.effort.few)):
        began, before = time.monotonic(), service.cpu_seconds()
        for _ in range(SCRAPES):
            _scrape(service)
        spent = service.cpu_seconds() - before - idle * (time.monotonic() - began)
        readings.append(max(spent, 0.0) / SCRAPES * 1000)
    return figure(readings)
