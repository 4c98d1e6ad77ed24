"""Gunicorn's threaded worker: less work between requests of a connection, and a fair share.

Gunicorn's own gives a connection back to its main thread after each answer, for a wake-up, two
system calls of epoll and a place in a queue per request. Here, a thread stays for a moment.

All workers wake up for a new connection. One that is running already takes many before those that
slept have been given a core, and keep-alive makes that last: one of two workers may have all the
work. Here, who has requests in hand lets the others go first.
"""

import os
import select
import threading
from queue import SimpleQueue
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

# How long a thread stays with a connection that it has answered, while no other needs it.
LINGER_MS = 5.0


class LingeringWorker(ThreadWorker):  # type: ignore[misc]
    """A worker whose threads answer what follows at once themselves."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: SimpleQueue[Any] = SimpleQueue()
        # One thread never lingers: whoever is new must not wait for those who stay.
        self._idle = threading.Semaphore(max(0, self.cfg.threads - 1))

    def accept(self, listener: Any) -> None:
        """As Gunicorn's, but after the workers that have nothing to do."""
        idle = len(self.keepalived_conns) + len(self.pending_conns)
        if self.cfg.workers > 1 and self.nr_conns > idle:
            os.sched_yield()
        super().accept(listener)

    def enqueue_req(self, conn: Any) -> None:
        """As Gunicorn's, and remembers that somebody waits for a thread."""
        self._waiting.put(conn)
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        """Answer a request, and on the same thread those that follow it at once."""
        self._waiting.get()
        while True:
            again = super().handle(conn)
            if again is not True or not self._follows(conn):
                return again

    def _follows(self, conn: Any) -> bool:
        """Whether the next request comes at once; nobody stays while others need a thread."""
        if not self.alive or not self._waiting.empty():
            return False
        if not self._idle.acquire(blocking=False):  # pylint: disable=consider-using-with
            return False
        try:
            poll = select.poll()
            poll.register(conn.sock, select.POLLIN)
            return bool(poll.poll(LINGER_MS))
        finally:
            self._idle.release()
