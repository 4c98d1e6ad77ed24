"""Granian, for `SERVER=granian`: it parses HTTP and writes answers in Rust.

Metrics, logs and draining are the same as with Gunicorn, and so are their tests. Differences:
Granian answers requests that are not HTTP itself, without a problem document; SIGHUP replaces the
workers but does not load the code again; MAX_REQUESTS has no counterpart. Two differences need a
proxy in front, as nginx is: a body whose chunks end wrongly counts as whole, and a header that is
spelt with underscores replaces the one with hyphens.
"""

import fcntl
import gc
import logging
import multiprocessing
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from multiprocessing import util
from pathlib import Path
from typing import Any

from app.config import Settings, SettingsError
from app.factory import create_app
from app.http.middleware import Environ, Headers, WsgiApp
from app.server import lifecycle
from app.server.cpu_limit import worker_count
from app.server.management import Management
from app.utils import logger, metric_store, metrics

try:
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
except ImportError as missing:
    raise SettingsError(
        "SERVER: granian is not installed; pip install --require-hashes -r requirements-granian.txt"
    ) from missing


# Between the end of a worker and its next one, so that one that cannot start takes no whole CPU.
RESPAWN_SECONDS = 0.2


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; returns when every worker has ended."""
    listen = _listen_options(settings.bind)
    folder = metric_store.prepare(settings.metrics_dir)
    metrics.store_in(folder)
    # Workers share what the master has loaded, and the memory that lifecycle.py maps.
    multiprocessing.set_start_method("fork")
    logger.configure(settings)
    app, management = create_app(settings), Management(settings)

    server = _Server(
        "app.factory:create_app",
        **listen,
        interface=Interfaces.WSGI,
        workers=worker_count(settings),
        blocking_threads=settings.web_threads,
        backpressure=settings.web_threads * 16,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            # Above nginx's own idle time, so that nginx is the first to close a connection.
            header_read_timeout=settings.keep_alive_seconds * 1000,
            max_buffer_size=65_536,
        ),
        log_dictconfig=logger.configuration(settings) | {"loggers": {}},
        respawn_failed_workers=True,
        workers_kill_timeout=settings.graceful_timeout_seconds,
    )
    server.drain_seconds = settings.drain_seconds
    gc.freeze()
    gc.enable()
    try:
        with tempfile.TemporaryFile() as lock:
            server.serve(
                target_loader=lambda: _enter(app, lock.fileno(), management), wrap_loader=False
            )
    finally:
        if not settings.metrics_dir:
            shutil.rmtree(folder, ignore_errors=True)


def _listen_options(bind: tuple[str, ...]) -> dict[str, Any]:
    if len(bind) != 1:
        raise SettingsError("BIND: Granian listens on one address; for example BIND=0.0.0.0:8000")
    scheme, _, path = bind[0].partition(":")
    if scheme == "unix":
        return {"uds": Path(path)}
    address, _, port = bind[0].rpartition(":")
    if not port.isdecimal():
        raise SettingsError(f"BIND: {bind[0]!r} has no port; for example BIND=0.0.0.0:8000")
    return {"address": address.strip("[]"), "port": int(port)}


class _Server(Granian):  # type: ignore[misc, valid-type]  # pylint: disable=abstract-method
    """Granian, which drains before it stops, as Gunicorn does here."""

    drain_seconds = 0

    def _respawn_workers(self, *args: Any, **kwargs: Any) -> None:
        """As Granian's, which would end the service if a worker and its successor die in 5 s."""
        super()._respawn_workers(*args, **kwargs)
        self.respawned_wrks.clear()
        time.sleep(RESPAWN_SECONDS)

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """SIGTERM: readiness is 503 at once, and the listener stays open for DRAIN_SECONDS."""
        stop: Callable[[], None] = super().signal_handler_interrupt
        if lifecycle.draining() or not self.drain_seconds:
            lifecycle.start_draining()
            stop()
            return
        lifecycle.start_draining()
        timer = threading.Timer(self.drain_seconds, stop)
        timer.daemon = True
        timer.start()


def _enter(app: Any, lock: int, management: Management) -> Any:
    """In a new worker: take a slot and start the threads, which a fork would end."""
    fcntl.lockf(lock, fcntl.LOCK_EX)
    slot, inherited = lifecycle.free_slot()
    clean = lifecycle.leave_slot(slot)
    lifecycle.enter_slot(slot)
    fcntl.lockf(lock, fcntl.LOCK_UN)
    metrics.enter_slot(slot)
    if inherited:
        metrics.leave_slot(slot)
        metrics.WORKER_EXITS.labels("recycled" if clean else "died").inc()
    logging.captureWarnings(True)
    app.extensions["secret_files"].refresh()  # those of the master are as old as its start
    tasks, traces = app.extensions["periodic_tasks"], app.extensions["tracing"]
    tasks.start()
    traces.start()
    management.start(app)

    def leave() -> None:
        tasks.stop()
        management.stop()
        traces.stop()
        lifecycle.exit_cleanly()

    util.Finalize(None, leave, exitpriority=0)
    return _closing(app)


def _closing(app: WsgiApp) -> WsgiApp:
    """Closes keep-alive connections while draining, as `pre_request` does in Gunicorn."""

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
            closing = [("Connection", "close")] if lifecycle.draining() else []
            return start_response(status, headers + closing, exc_info)

        return app(environ, start)

    return application
