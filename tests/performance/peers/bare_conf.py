"""Gunicorn's settings for Flask alone: threads, keep-alive and preloading as the service has."""

# pylint: disable=invalid-name
# The names are Gunicorn's.

import gc
from typing import Any

# No collection until all is loaded, as in app/__main__.py.
gc.disable()

worker_class = "gthread"
threads = 8
keepalive = 75
preload_app = True
worker_tmp_dir = "/dev/shm"  # nosec B108
control_socket_disable = True


def when_ready(_server: Any) -> None:
    """In the master, before the first fork: the workers share what is loaded."""
    gc.freeze()
    gc.enable()
