"""Answers requests in this process, without a socket: the program that callgrind counts.

Usage: in_process.py service|PEER N PATH…

Prints `PATH COUNT PID` for each path twice: the child process PID has answered COUNT requests, once
N and once 2 N of them. Settings come from the environment, the application from PYTHONPATH: it may
be that of another checkout, so nothing of this one is imported for the service.
"""

import gc
import importlib.util
import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from werkzeug.test import EnvironBuilder

# 2 ** 64 times the golden ratio.
STEP = 0x9E37_79B9_7F4A_7C15
# As nginx passes them on, and an X-Request-ID.
HEADERS = {
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Proto": "http",
    "User-Agent": "bench/1",
    "Accept": "*/*",
}


def load(kind: str) -> Any:
    """The WSGI application as Gunicorn would load it."""
    if kind != "service":
        return importlib.import_module(f"tests.performance.peers.{kind}").app
    if importlib.util.find_spec("app.gunicorn_conf"):  # a checkout from before app/server
        importlib.import_module("app.gunicorn_conf")
        return importlib.import_module("app.main").app
    settings = importlib.import_module("app.config").Settings.from_env()
    folder = Path(os.environ["METRICS_DIR"])
    folder.mkdir(exist_ok=True)
    importlib.import_module("app.utils.metrics").store_in(folder)
    importlib.import_module("app.utils.logger").configure(settings)
    return importlib.import_module("app.factory").create_app(settings)


def answer(application: Any, path: str, count: int) -> None:
    """Let the application answer `count` requests."""
    server = {"REMOTE_ADDR": "127.0.0.1", "RAW_URI": path, "wsgi.multithread": True}
    environ = EnvironBuilder(path, headers=HEADERS.items(), environ_base=server).get_environ()
    statuses: list[str] = []
    tracing = getattr(application, "extensions", {}).get("tracing")
    if tracing:
        # Callgrind takes fifty times as long: a batch is sent when it is full, as under load.
        setattr(importlib.import_module("app.utils.span_export"), "INTERVAL_SECONDS", 3600.0)
        tracing.start()

    def start_response(status: str, _headers: object, _exc: object = None) -> None:
        statuses.append(status)

    for number in range(count):
        # Sampling goes by the ID: its second half runs evenly through all values.
        request_id = f"{number + 1:016x}{number * STEP % 2**64:016x}"
        own = {"HTTP_X_REQUEST_ID": request_id, "wsgi.input": io.BytesIO()}
        body: Iterable[bytes] = application({**environ, **own}, start_response)
        b"".join(body)
        close = getattr(body, "close", None)
        if close:
            close()
    if tracing:
        tracing.stop()
    if statuses != ["200 OK"] * count:
        sys.exit(f"{path} answered {set(statuses)}")


def main() -> None:
    kind, requests, *paths = sys.argv[1:]
    application = load(kind)
    gc.freeze()  # as the servers do before they fork
    for path in paths:
        for count in (int(requests), 2 * int(requests)):
            # A child each, as a server forks its workers: the application is loaded once.
            pid = os.fork()
            if not pid:
                answer(application, path, count)
                sys.exit()
            if os.waitpid(pid, 0)[1]:
                sys.exit(f"{path}: the child failed")
            print(path, count, pid, flush=True)


if __name__ == "__main__":
    main()
