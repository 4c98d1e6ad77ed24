"""Gunicorn with this service's settings and hooks (docs.gunicorn.org, "Custom Application")."""

import codecs
import gc
import logging
import os
import shutil
import signal
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from app.config import Settings
from app.factory import create_app
from app.server import lifecycle
from app.server.cpu_limit import worker_count
from app.server.management import Management
from app.server.worker import ErrorLogger, Worker
from app.utils import logger, metric_store, metrics

# A reload keeps the modules whose state belongs to running processes. A new worker of RELOAD has
# no such state in its metrics yet.
_SERVER = {
    "app.server",
    "app.server.gunicorn_server",
    "app.server.lifecycle",
    "app.server.management",
    "app.server.worker",
}
_COUNTING = {
    "app.utils",
    "app.utils.metric_reader",
    "app.utils.metric_store",
    "app.utils.metrics",
    "app.utils.request_context",
}

log = logging.getLogger("gunicorn.error")


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    master = os.getpid()
    folder = metric_store.prepare(settings.metrics_dir)
    metrics.store_in(folder)
    try:
        GunicornApplication(settings, folder, Management(settings)).run()
    finally:
        # Forked workers end here too, and the folder is the master's.
        if not settings.metrics_dir and os.getpid() == master:
            shutil.rmtree(folder, ignore_errors=True)


class GunicornApplication(BaseApplication):  # type: ignore[misc]  # pylint: disable=abstract-method
    def __init__(self, settings: Settings, metrics_folder: Path, management: Management) -> None:
        self._settings = settings
        self._metrics_folder = metrics_folder
        self._management = management
        super().__init__()

    def load(self) -> Flask:
        """Make the application: in the master, or in each worker with RELOAD."""
        if self._settings.reload:
            application = _load_again(keep=_SERVER)
            new_metrics = import_module("app.utils.metrics")
            new_metrics.store_in(self._metrics_folder, lifecycle.current_slot())
            return application
        return create_app(self._settings)

    def load_config(self) -> None:
        settings, hooks = self._settings, Hooks(self._settings, self._management)
        Worker.queue_timeout_seconds = settings.queue_timeout_seconds
        options = {
            "bind": list(settings.bind),
            # Threads in processes: a request spends its time in Python (one CPU for each process)
            # or waiting for Redis (other threads continue).
            "workers": worker_count(settings),
            "threads": settings.web_threads,
            "worker_class": Worker,
            # Above nginx's own idle time: nginx closes idle connections, never this side while
            # nginx sends a request.
            "keepalive": settings.keep_alive_seconds,
            # A worker whose main loop does not respond this long is killed.
            "timeout": settings.request_timeout_seconds,
            "graceful_timeout": settings.graceful_timeout_seconds,
            "max_requests": settings.max_requests,
            "max_requests_jitter": settings.max_requests_jitter,
            "limit_request_line": 4094,
            "limit_request_fields": 64,
            "limit_request_field_size": 8190,
            # Heartbeat files: on a slow disk, a healthy worker would look dead.
            "worker_tmp_dir": metric_store.memory_folder(),
            # Load the app once and fork: workers share its memory.
            "preload_app": not settings.reload,
            "reload": settings.reload,
            # The app reads forwarding headers itself, from FORWARDED_ALLOW_IPS only.
            "forwarded_allow_ips": "",
            # No admin socket: another thing that listens, and needs a writable home folder.
            "control_socket_disable": True,
            "accesslog": None,
            "logger_class": ErrorLogger,
            "logconfig_dict": logger.configuration(settings),
            **{name: getattr(hooks, name) for name in vars(Hooks) if not name.startswith("_")},
        }
        for name, value in options.items():
            self.cfg.set(name, value)


class Hooks:
    """Gunicorn's server hooks, by their names there."""

    def __init__(self, settings: Settings, management: Management) -> None:
        self._settings = settings
        self._management = management

    def when_ready(self, server: Any) -> None:
        """In the master, before the first fork."""
        signal.signal(signal.SIGTERM, lambda signum, frame: self._drain(server, signum, frame))
        codecs.lookup("idna")  # a connection to Redis needs it: loaded here, its memory is shared
        # Loaded objects stay. The collector would write to their memory and so unshare it. No
        # collection before (docs.python.org/3/library/gc.html#gc.freeze).
        gc.freeze()
        gc.enable()

    def _drain(self, server: Any, signum: int, frame: FrameType | None) -> None:
        """SIGTERM: readiness is 503 at once, and the listener stays open for DRAIN_SECONDS."""
        if os.getpid() != server.pid:
            # A new worker that still has the master's handler. Gunicorn would lose the signal
            # here, and the master would wait for this worker until the grace period is over.
            lifecycle.exit_cleanly()
            os._exit(0)
        if lifecycle.draining() or not self._settings.drain_seconds:
            lifecycle.start_draining()
            server.signal(signum, frame)
            return
        lifecycle.start_draining()
        signal.signal(signal.SIGALRM, lambda *_: server.signal(signum, None))
        signal.setitimer(signal.ITIMER_REAL, self._settings.drain_seconds)

    def pre_fork(self, server: Any, worker: Any) -> None:
        """Give the worker the lowest slot that no living worker has."""
        taken = {other.slot for other in server.WORKERS.values()}
        worker.slot = next(slot for slot in range(1, lifecycle.MAX_SLOTS) if slot not in taken)

    def post_fork(self, _server: Any, worker: Any) -> None:
        """In the new worker: from here on it counts under its slot."""
        lifecycle.enter_slot(worker.slot)
        metrics.enter_slot(worker.slot)

    def post_worker_init(self, worker: Any) -> None:
        """In the worker, when the app is loaded: start the threads, which a fork would end."""
        logging.captureWarnings(True)
        # Those of the master are as old as its start.
        worker.wsgi.extensions["secret_files"].refresh()
        worker.wsgi.extensions["periodic_tasks"].start()
        worker.wsgi.extensions["tracing"].start()
        self._management.start(worker.wsgi)

    def pre_request(self, _worker: Any, req: Any) -> None:
        """Close keep-alive connections while draining, and those that will get a 413.

        To keep the latter, a thread would have to read up to five seconds of a refused body.
        """
        too_large = _announced_length(req.headers) > self._settings.max_content_length
        if lifecycle.draining() or too_large:
            req.must_close = True

    def worker_exit(self, _server: Any, worker: Any) -> None:
        """In a worker that ends as planned: store its last counts, send its last spans."""
        if getattr(worker, "booted", False):
            worker.wsgi.extensions["periodic_tasks"].stop()
            self._management.stop()
            worker.wsgi.extensions["tracing"].stop()
        lifecycle.exit_cleanly()

    def child_exit(self, _server: Any, worker: Any) -> None:
        """In the master, when a worker is gone."""
        clean = lifecycle.leave_slot(worker.slot)
        metrics.leave_slot(worker.slot)
        metrics.WORKER_EXITS.labels("recycled" if clean else "died").inc()

    def on_reload(self, server: Any) -> None:
        """SIGHUP: load code and settings again for new workers.

        If that fails, the service continues with what it had. Gunicorn's own settings (address,
        workers, threads) need a restart.
        """
        modules, application = dict(sys.modules), server.app.callable
        try:
            server.app.callable = _load_again(keep=_SERVER | _COUNTING)
        except BaseException as failure:  # pylint: disable=broad-exception-caught
            sys.modules.update(modules)
            server.app.callable = application
            log.error("Reload refused, continuing as before: %s", failure)


def _load_again(keep: set[str]) -> Flask:
    """The application made from the code as it is now, with settings read now."""
    for name in list(sys.modules):
        if (name == "app" or name.startswith("app.")) and name not in keep:
            del sys.modules[name]
    settings = import_module("app.config").Settings.from_env()
    import_module("app.utils.logger").configure(settings)
    application: Flask = import_module("app.factory").create_app(settings)
    return application


def _announced_length(headers: list[tuple[str, str]]) -> int:
    for name, value in headers:
        if name == "CONTENT-LENGTH":
            return int(value) if value.isdigit() else 0
    return 0
