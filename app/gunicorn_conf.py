"""Gunicorn's settings, as `python -m app` starts it.

Gunicorn reads the module's lower-case names as settings and hooks. The values come from this
service's own settings, so that there is one way to set anything.
"""

# pylint: disable=invalid-name
# The names are Gunicorn's.

import atexit
import codecs
import gc
import logging
import os
import shutil
import signal
import sys
from types import FrameType
from typing import Any

from app.config import Settings, SettingsError
from app.utils import lifecycle, logger, metric_store
from app.utils.cores import worker_count

try:
    _settings = Settings.from_env()
except SettingsError as error:
    sys.exit(f"devops-starter: {error}")

_log = logging.getLogger("gunicorn.error")


# Must stand before anything imports the metrics.
os.environ["METRICS_SLOTS"] = metric_store.prepare(_settings.metrics_dir)
_master = os.getpid()


@atexit.register
def _remove_metrics() -> None:
    """However the master ends: the address may be taken, or the app not load."""
    if os.getpid() == _master and not _settings.metrics_dir:
        shutil.rmtree(os.environ["METRICS_SLOTS"], ignore_errors=True)


wsgi_app = "app.main:app"
bind = list(_settings.bind)

# Threads within processes: a request spends its time in Python (one core a process) or waiting
# for Redis (other threads go on). The embedded store lives in one process, so it gets one.
workers = worker_count(_settings)
worker_class = "app.utils.worker.Worker"
threads = _settings.web_threads

# Above nginx's own idle time, so that it is nginx who closes an idle connection, never we while
# nginx sends on it.
keepalive = _settings.keep_alive_seconds

# A worker whose main loop is silent this long is killed; a thread may be busy for longer.
timeout = _settings.request_timeout_seconds
graceful_timeout = _settings.graceful_timeout_seconds

# Recycling hides leaks; off unless asked for. Jitter keeps workers from going all at once.
max_requests = _settings.max_requests
max_requests_jitter = _settings.max_requests_jitter

# Refused by Gunicorn before the app sees them, as problem documents (see utils/worker.py).
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190

# The heartbeat files of workers: on disk, a slow disk looks like a dead worker.
worker_tmp_dir = metric_store.memory_folder()

# Load the app once and fork: workers share its memory. Not with the reloader, which reloads it.
preload_app = not _settings.reload
reload = _settings.reload

# The app reads forwarding headers itself, and only from FORWARDED_ALLOW_IPS; Gunicorn by none.
forwarded_allow_ips = ""

# No admin socket: it would be one more thing that listens, and needs a writable home folder.
control_socket_disable = True

# The app writes a line per request; Gunicorn's own lines take the same shape.
accesslog = None
logger_class = "app.utils.worker.ErrorLogger"
logconfig_dict = logger.configuration(_settings)


def when_ready(server: Any) -> None:
    """In the master, before the first fork."""
    signal.signal(signal.SIGTERM, lambda signum, frame: _drain(server, signum, frame))
    codecs.lookup("idna")  # connecting to Redis needs it: loaded here, its memory is shared
    # What is loaded stays; the collector touching it would unshare the memory. No collection before
    # (docs.python.org/3/library/gc.html#gc.freeze): workers would fill its holes, page by page.
    gc.freeze()
    gc.enable()


def _drain(server: Any, signum: int, frame: FrameType | None) -> None:
    """SIGTERM: readiness turns 503 at once, and the listener stays open while others notice."""
    if os.getpid() != server.pid:
        # A worker so young that it still has the master's handler. Gunicorn's own would lose the
        # signal here, and the master then waits for this worker until the grace period is over.
        lifecycle.exit_cleanly()
        os._exit(0)
    if lifecycle.draining() or not _settings.drain_seconds:
        lifecycle.start_draining()
        server.signal(signum, frame)
        return
    lifecycle.start_draining()
    signal.signal(signal.SIGALRM, lambda *_: server.signal(signum, None))
    signal.setitimer(signal.ITIMER_REAL, _settings.drain_seconds)


def pre_fork(server: Any, worker: Any) -> None:
    """Give the worker the lowest slot that no living worker has."""
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(slot for slot in range(1, lifecycle.MAX_SLOTS) if slot not in taken)


def post_fork(_server: Any, worker: Any) -> None:
    """In the new worker: from here on it counts under its slot."""
    from app.utils import metrics  # pylint: disable=import-outside-toplevel

    lifecycle.enter_slot(worker.slot)
    metrics.enter_slot(worker.slot)


def post_worker_init(worker: Any) -> None:
    """In the worker, when the app is loaded: start what does not survive a fork."""
    logging.captureWarnings(True)
    worker.wsgi.extensions["ticker"].start()


def pre_request(_worker: Any, req: Any) -> None:
    """Tell keep-alive connections to close while draining, and those that will get a 413.

    To keep the latter, a thread would have to read up to five seconds of a body nobody wants.
    """
    if lifecycle.draining() or _announced_length(req.headers) > _settings.max_content_length:
        req.must_close = True


def _announced_length(headers: list[tuple[str, str]]) -> int:
    for name, value in headers:
        if name == "CONTENT-LENGTH":
            return int(value) if value.isdigit() else 0
    return 0


def worker_exit(_server: Any, worker: Any) -> None:
    """In a worker that ends of its own accord: hand in the last counts."""
    if getattr(worker, "booted", False):
        worker.wsgi.extensions["ticker"].stop()
    lifecycle.exit_cleanly()


def child_exit(_server: Any, worker: Any) -> None:
    """In the master, when a worker is gone: its gauges end, its counters go to the next."""
    from app.utils import metrics  # pylint: disable=import-outside-toplevel

    clean = lifecycle.leave_slot(worker.slot)
    metrics.leave_slot(worker.slot)
    metrics.WORKER_EXITS.labels("recycled" if clean else "died").inc()


def on_reload(server: Any) -> None:
    """SIGHUP: load the code and the settings anew for the workers to come.

    What fails to load is refused: the service goes on with what it had. Gunicorn's own settings
    (address, workers, threads) need a restart; the modules that hold state shared with running
    workers stay.
    """
    kept = {"app", "app.config", "app.gunicorn_conf", "app.utils"}
    kept |= {f"app.utils.{name}" for name in ("lifecycle", "metrics", "logger", "request_context")}
    before = {name: module for name, module in sys.modules.items() if name.startswith("app.")}
    former = server.app.callable
    for name in before:
        if name not in kept:
            del sys.modules[name]
    server.app.callable = None
    try:
        server.app.wsgi()
    except BaseException as failure:  # pylint: disable=broad-exception-caught
        sys.modules.update(before)
        server.app.callable = former
        _log.error("Reload refused, going on as before: %s", failure)
