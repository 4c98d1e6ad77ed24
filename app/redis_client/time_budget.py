"""The time that one request may spend waiting for Redis, and connections that keep to it.

A request may wait for 90 % of the budget in all; the rest is left for its own work. The first
milliseconds of each operation, which a healthy Redis takes, are free. No single step (connect,
read) may take longer than 70 % of the budget or than what remains, and a request that has met one
failure does not wait again.
"""

import threading
import time
from typing import Any

from redis import ConnectionPool
from redis.connection import AbstractConnection

from app.utils import request_context
from app.utils.request_context import RequestContext

HEALTHY_SECONDS = 0.005
STEP_SHARE = 0.7
REQUEST_SHARE = 0.9
MIN_SECONDS = 0.01


class RequestBudget:
    """What one request may still wait."""

    __slots__ = ("request", "failed", "_limit", "_spent", "_started")

    def __init__(self, request: RequestContext, limit_seconds: float) -> None:
        self.request = request
        self.failed = False
        self._limit = limit_seconds
        self._spent = 0.0
        self._started = 0.0

    @property
    def exhausted(self) -> bool:
        return self.failed or self._limit - self._spent < MIN_SECONDS

    def start(self) -> None:
        """An operation begins."""
        self._started = time.monotonic()

    def stop(self) -> None:
        """It has ended. Time above that of a healthy answer is spent."""
        self._spent += max(0.0, time.monotonic() - self._started - HEALTHY_SECONDS)

    def remaining(self) -> float:
        """Seconds that the operation under way may still take."""
        return self._limit - self._spent - (time.monotonic() - self._started)


class TimeBudget:
    """The budget of each request: `seconds` for all its Redis operations together."""

    def __init__(self, seconds: float) -> None:
        self.step_seconds = STEP_SHARE * seconds
        self._request_seconds = REQUEST_SHARE * seconds
        self._thread = threading.local()

    def of_request(self) -> RequestBudget | None:
        """The budget of the request that this thread answers; None outside of a request."""
        request = request_context.current()
        if request is None:
            return None
        budget: RequestBudget | None = getattr(self._thread, "budget", None)
        if budget is None or budget.request is not request:
            budget = self._thread.budget = RequestBudget(request, self._request_seconds)
        return budget

    def bind(self, pool: ConnectionPool) -> ConnectionPool:
        """Make the connections of `pool`, which has not made any yet, keep to this budget."""
        kind = pool.connection_class
        name = f"Bounded{kind.__name__}"
        pool.connection_class = type(name, (BoundedConnection, kind), {"budget": self})
        return pool


class BoundedConnection(AbstractConnection):  # pylint: disable=abstract-method
    """Mixed into redis-py's connections: no step takes longer than the request's budget allows."""

    budget: TimeBudget

    def connect(self) -> None:
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
        step, request = self.budget.step_seconds, self.budget.of_request()
        return min(step, max(MIN_SECONDS, request.remaining())) if request else step
