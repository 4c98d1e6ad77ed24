"""The service with one of its optimisations left out; steps.py measures what that costs.

Loaded in the measured process, after the service's own settings: by Gunicorn, whose worker class
one of these is, or by in_process.py.
"""

import gc
from collections.abc import Callable
from typing import Any

from app.utils.worker import Worker

# pylint: disable=protected-access
# What is left out is nobody's business but the service's own.


class HandsBack(Worker):
    """A connection goes back to the main thread after each answer, as Gunicorn does."""

    def _follows(self, conn: Any) -> bool:
        return False


class Collected(Worker):
    """A full collection has gone by, as it does now and then in a process that runs for days."""

    def init_process(self) -> None:
        gc.collect()
        super().init_process()


class Unfrozen(Collected):
    """The collector looks through what was loaded before the fork, too."""

    def init_process(self) -> None:
        gc.unfreeze()
        super().init_process()


class _Forgetful(dict[Any, Any]):
    def __setitem__(self, key: Any, value: Any) -> None:
        pass


def _kept_series(application: Any) -> None:
    application.wsgi_app._children = _Forgetful()


def _one_encoding(application: Any) -> None:
    """The line goes the way of all others: a record, the formatter, the handler."""
    log = application.wsgi_app._log

    def write(level: int, _context: Any, fields: dict[str, Any]) -> None:
        for handler in log._handlers:
            log._hand_over(handler, level, fields)

    log.write = write


def _direct_reads(application: Any) -> None:
    """Reads go through redis-py's client, pool and pipeline."""
    application.extensions["services"].cache._store._direct = None


APPLICATION: dict[str, Callable[[Any], None]] = {
    "kept series": _kept_series,
    "one encoding": _one_encoding,
    "direct reads": _direct_reads,
}
"""By name, what takes it away from a WSGI application."""
