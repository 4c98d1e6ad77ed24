"""Bounds the memory of large JSON bodies: read, they take up to 30 times their size."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.http.problems import RETRY_AFTER_SECONDS, Problem

SMALL = 65_536
# Of all larger bodies at once, in one process. One that is larger still is read alone.
MAX_BYTES = 2 * 1_048_576
WAIT_SECONDS = 5.0


class LargeBodies:
    """Lets so many large bodies of one process be in memory at once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bytes = 0

    @contextmanager
    def admit(self, size: int) -> Iterator[None]:
        """Reserve memory for a body of `size` bytes while its request is answered.

        Raises:
            Problem: 503, others took it for `WAIT_SECONDS`.
        """
        if size <= SMALL:
            yield
            return
        with self._changed:
            if not self._changed.wait_for(lambda: self._fits(size), WAIT_SECONDS):
                raise Problem(
                    503,
                    "Too many large bodies at a time. Try again in a moment.",
                    headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
                )
            self._bytes += size
        try:
            yield
        finally:
            with self._changed:
                self._bytes -= size
                self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return not self._bytes or self._bytes + size <= MAX_BYTES
