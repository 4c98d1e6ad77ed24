"""A thread in each worker that does small chores at a steady pace."""

import logging
import threading
from collections.abc import Callable, Sequence

from app.utils.store import StoreFull, StoreUnavailable

INTERVAL_SECONDS = 0.5

log = logging.getLogger(__name__)


class Ticker:
    """Calls its chores every half second until stopped.

    As they talk to Redis, it is also what notices that Redis is back when no request does.
    """

    def __init__(self, chores: Sequence[Callable[[], None]]) -> None:
        self._chores = chores
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; to be called after the fork, as threads do not survive it."""
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, after the chores have been done once more, so that nothing counted is lost."""
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=2)

    def tick(self) -> None:
        """Do every chore once. None may stop the next, and Redis being away is no news here."""
        for chore in self._chores:
            try:
                chore()
            except (StoreUnavailable, StoreFull):
                continue
            except Exception:  # pylint: disable=broad-exception-caught
                log.exception("A chore failed")

    def _run(self) -> None:
        stopped = False
        while not stopped:
            stopped = self._stop.wait(INTERVAL_SECONDS)
            self.tick()
