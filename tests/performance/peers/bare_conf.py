"""Gunicorn's settings for Flask alone: the service's own, as far as they serve no feature.

With the same worker, the same preloaded and frozen heap and the same way to Redis (bare.py), what
the service takes more than this is what its features cost, and no saving in them goes below it.
"""

# pylint: disable=invalid-name
# The names are Gunicorn's.

import codecs
import gc
from typing import Any

from gunicorn.glogging import Logger

# As app/__main__.py: no collection until all is loaded.
gc.disable()

# As app/gunicorn_conf.py makes them of the defaults of its settings.
worker_class = "app.utils.lingering.LingeringWorker"
threads = 8
keepalive = 75
preload_app = True
worker_tmp_dir = "/dev/shm"  # nosec B108
control_socket_disable = True


class NoAccessLog(Logger):  # type: ignore[misc]
    """Gunicorn's logger, without gathering an access log that nobody writes."""

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Nothing."""


logger_class = NoAccessLog


def when_ready(_server: Any) -> None:
    """In the master, before the first fork."""
    codecs.lookup("idna")
    gc.freeze()
    gc.enable()
