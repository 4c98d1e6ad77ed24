"""The entry point: reads the settings and starts the server that they name."""

import logging
import os
import signal
import sys
from importlib import import_module
from types import FrameType

from app.config import Settings, SettingsError
from app.redis_client import connect
from app.utils import logger


def main() -> None:
    """Serve until SIGTERM or SIGINT.

    Exits with one line on standard error when a setting is missing or wrong.
    """
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    try:
        settings = Settings.from_env()
        logger.configure(settings)
        if settings.embedded_store:
            logging.getLogger("app").warning(
                "Embedded store (REDIS_URL=memory://): one worker, and nothing is kept when it ends"
            )
        if ignored := settings.without_effect(os.environ):
            names = ", ".join(ignored)
            logging.getLogger("app").warning(
                "Without effect: %s; docs/OBSERVABILITY.md lists what is honoured", names
            )
        connect.refuse_cluster(settings)
        # Only now: Gunicorn reads WEB_CONCURRENCY when it is imported, and a wrong value would end
        # in a traceback. Granian may not be installed.
        server = import_module(f"app.server.{settings.server}_server")
        server.serve(settings)
    except SettingsError as error:
        sys.exit(f"devops-starter: {error}")


def _exit(number: int, _frame: FrameType | None) -> None:
    """Until the server has its own handlers: exit in order, so that temporary files are removed."""
    sys.exit(0 if number == signal.SIGTERM else 128 + number)
