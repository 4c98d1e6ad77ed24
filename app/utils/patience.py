"""How long a request waits for Redis in all, and connections that keep to it.

A request has 90 % of `REDIS_TIMEOUT_MS` (250 ms) for Redis; the first few milliseconds of each
operation, which a healthy Redis takes, are free. No single step (connect, read) may take longer
than 70 % or than what is left, and a request that has met one failure waits no more.
"""

import time
from typing import Any

from redis import ConnectionPool
from redis.connection import AbstractConnection

from app.utils import request_context

HEALTHY_SECONDS = 0.005
STEP_SHARE = 0.7
REQUEST_SHARE = 0.9
LEAST_SECONDS = 0.01


class Patience:
    """What one request has left to wait."""

    __slots__ = ("failed", "_lost", "_started")

    def __init__(self) -> None:
        self.failed = False
        self._lost = 0.0
        self._started = 0.0

    def start(self) -> None:
        """An operation begins."""
        self._started = time.monotonic()

    def end(self) -> None:
        """It has ended; what it took above a healthy answer is lost."""
        self._lost += max(0.0, time.monotonic() - self._started - HEALTHY_SECONDS)

    def left(self, seconds: float) -> float:
        """Seconds left of `seconds` when no operation is under way."""
        return 0.0 if self.failed else seconds - self._lost

    def left_now(self, seconds: float) -> float:
        """Seconds left of `seconds` within an operation."""
        return seconds - self._lost - (time.monotonic() - self._started)


def current() -> Patience | None:
    """The patience of the request this thread answers; None outside of one."""
    context = request_context.current()
    if context is None:
        return None
    if context.patience is None:
        context.patience = Patience()
    return context.patience


class BoundedConnection(AbstractConnection):  # pylint: disable=abstract-method
    """Mixed into redis-py's connections: each step gets what the request has left, at most."""

    step_seconds: float
    request_seconds: float

    def connect(self) -> None:
        """Connect, in a step's time."""
        self.socket_timeout = self.socket_connect_timeout = self._step()
        super().connect()  # type: ignore[no-untyped-call]

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send, and allow the answer a step's time."""
        step = self._step()
        if step != self.socket_timeout:
            self.socket_timeout = step
            self.update_current_socket_timeout(step)
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def _step(self) -> float:
        patience = current()
        if patience is None:
            return self.step_seconds
        return min(self.step_seconds, max(LEAST_SECONDS, patience.left_now(self.request_seconds)))


def bound(pool: ConnectionPool, ceiling_seconds: float) -> ConnectionPool:
    """Make the connections of `pool`, whatever kind they are, keep to the ceiling.

    Args:
        pool: a pool that has not made a connection yet.
        ceiling_seconds: what a request may wait for Redis in all.
    """
    members = {
        "step_seconds": STEP_SHARE * ceiling_seconds,
        "request_seconds": REQUEST_SHARE * ceiling_seconds,
    }
    kind = pool.connection_class
    pool.connection_class = type(f"Bounded{kind.__name__}", (BoundedConnection, kind), members)
    return pool
