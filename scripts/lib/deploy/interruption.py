"""Ctrl-C, SIGTERM and SIGHUP: noted when they come, obeyed between two commands.

A `docker compose up` that is cut off half way leaves a container that a rollback cannot see yet.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .engine import Engine
from .progress import Progress

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """Somebody wants the deploy to end; the text says how they said so."""


class Interruption:
    """Turns a signal into Interrupted before the engine's next command."""

    def __init__(self, engine: Engine, progress: Progress) -> None:
        self._engine = engine
        self._progress = progress
        self._name = ""
        self._obeyed = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
        self._engine.before_each_command = self._check
        try:
            yield
        finally:
            self._engine.before_each_command = lambda: None
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self._obeyed:
            self._progress.say("already rolling back")
        self._name = signal.Signals(number).name

    def _check(self) -> None:
        if self._name and not self._obeyed:
            self._obeyed = True
            raise Interrupted(f"interrupted by {self._name}")

    def ignore_from_now_on(self) -> None:
        self._obeyed = True
