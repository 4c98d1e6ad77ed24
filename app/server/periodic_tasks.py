"""A thread in each worker that runs small tasks at a fixed interval."""

import logging
import threading
from collections.abc import Callable, Sequence

from app.redis_client.client import RedisFailure

INTERVAL_SECONDS = 0.5

log = logging.getLogger(__name__)


class PeriodicTasks:
    """Runs its tasks at once, and every half second until stopped.

    The tasks use Redis, so the circuit to it closes again without waiting for a request.
    """

    def __init__(self, tasks: Sequence[Callable[[], None]]) -> None:
        self._tasks = tasks
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread. Called after the fork, because threads do not survive it."""
        self._thread = threading.Thread(target=self._run, name="periodic-tasks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after one more round, so that no count is lost."""
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=2)

    def run_once(self) -> None:
        """Run every task. A failing task does not stop the others. Redis errors are ignored."""
        for task in self._tasks:
            try:
                task()
            except RedisFailure:
                continue
            except Exception:  # pylint: disable=broad-exception-caught
                log.exception("A periodic task failed")

    def _run(self) -> None:
        self.run_once()
        stopped = False
        while not stopped:
            stopped = self._stop.wait(INTERVAL_SECONDS)
            self.run_once()
