"""The cost of a scrape: of the service, and of stock multiprocess mode with the same series."""

import json
import sys
import time
import urllib.request
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.performance.capacity import run_on
from tests.performance.figures import Figure, figure
from tests.performance.process import Server, inherited
from tests.performance.run import Run
from tests.performance.variants import OURS
from tests.support.load import Load
from tests.support.processes import free_port

WORKERS = 8
SCRAPES = 30
DEATHS = 50
# They make series: routes, methods and status classes for histograms, statuses for counters.
ROUTES = (
    "/ /docs /openapi.json /health /health/live /health/ready /api/v1/info /api/v1/cache"
    " /api/v1/cache/none /api/v1/items /api/v1/items/none /api/v1/session /api/v1/stats"
    " /api/v1/demo/delay/0 /api/v1/demo/status/200"
).split()
STATUSES = [f"/api/v1/demo/status/{code}" for code in range(201, 300)]
REQUESTS = [
    *((method, route) for route in ROUTES for method in ("GET", "HEAD", "OPTIONS", "PUT", "POST")),
    *((method, route) for route in ROUTES for method in ("PATCH", "DELETE")),
    *((method, path) for path in STATUSES for method in ("GET", "HEAD")),
]
# Each time over new connections, so that in the end every worker has counted nearly every series.
TIMES = 30
IDLE_SECONDS = 2.0


def costs(run: Run) -> dict[str, Figure]:
    """CPU milliseconds of a scrape at eight workers: the service, after deaths, and stock mode."""
    extra = {"DEMO_ENABLED": "true"}
    with run.stage.server(OURS, WORKERS, cores=run.cores.all, extra=extra) as service:
        _count_on_every_worker(service)
        exposed = _families(service)
        found = {"ours": _cost(service, run)}
        for _ in range(DEATHS):
            service.kill_worker()
            Load(service.port, REQUESTS, connections=8, total=40).run()
        _count_on_every_worker(service)
        found[f"after {DEATHS} deaths"] = _cost(service, run)
    found["stock"] = _stock(run, exposed)
    return found


def _count_on_every_worker(service: Server) -> None:
    for _ in range(TIMES):
        Load(service.port, REQUESTS, connections=WORKERS, total=len(REQUESTS)).run()


def _families(service: Server) -> list[dict[str, Any]]:
    """The names, types and labels that the service exposes, for stock multiprocess mode."""
    return [
        {
            "name": family.name,
            "type": family.type,
            "samples": [[sample.name, sample.labels] for sample in family.samples],
        }
        for family in text_string_to_metric_families(_scraped(service))
    ]


def _scraped(service: Server) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/metrics", timeout=30) as answer:
        text: str = answer.read().decode()
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
            _scraped(service)
        spent = service.cpu_seconds() - before - idle * (time.monotonic() - began)
        readings.append(max(spent, 0.0) / SCRAPES * 1000)
    return figure(readings)


def _stock(run: Run, exposed: list[dict[str, Any]]) -> Figure:
    """The same for stock mode: eight processes have counted and ended, one worker is asked."""
    folder = run.stage.new_folder("stock")
    series = folder / "series.json"
    series.write_text(json.dumps(exposed), encoding="utf-8")
    metrics = folder / "metrics"
    metrics.mkdir()
    env = inherited() | {"PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    module = "tests.performance.peers.stock_multiprocess"
    for _ in range(WORKERS):
        run_on(run.cores.all, [sys.executable, "-m", module, str(series)], env)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
    command += ["--no-control-socket", f"{module}:application"]
    with Server(
        "stock", command, port=port, folder=folder, cores=run.cores.all, env=env, ready="/metrics"
    ) as server:
        return _cost(server, run)
