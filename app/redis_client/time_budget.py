"""The time that one request may spend waiting for Redis, and connections that keep to it.

A request may wait for 90 % of the budget in all; the rest is left for its own work. The first
milliseconds of each operation, which a healthy Redis takes, are free. No step (look up the name,
connect, read) may take longer than what remains, and a request that has met one failure does not
wait again.
"""

import socket
import threading
import time
from typing import Any

from redis import ConnectionPool
from redis.connection import AbstractConnection
from redis.exceptions import RedisError

from app.redis_client import name_lookup
from app.utils import request_context
from app.utils.request_context import RequestContext

HEALTHY_SECONDS = 0.005
REQUEST_SHARE = 0.9
UNTOUCHED_SHARE = 0.9
MIN_SECONDS = 0.01
NOT_SENT = "not_sent"
"""Attribute of an error: set if no command was sent, because there was no connection."""


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
        self.seconds = REQUEST_SHARE * seconds
        self._thread = threading.local()

    def of_request(self) -> RequestBudget | None:
        """The budget of the request that this thread answers; None outside of a request."""
        request = request_context.current()
        if request is None:
            return None
        budget: RequestBudget | None = getattr(self._thread, "budget", None)
        if budget is None or budget.request is not request:
            budget = self._thread.budget = RequestBudget(request, self.seconds)
        return budget

    def remaining(self) -> float:
        """Seconds that this thread's request, or an operation outside of one, may still take."""
        request = self.of_request()
        return request.remaining() if request else self.seconds

    def bind(self, pool: ConnectionPool, share: float = 1.0) -> ConnectionPool:
        """Make the connections of `pool`, which has not made any yet, keep to this budget.

        Each step may take at most `share` of it.
        """
        kind = pool.connection_class
        attributes = {"budget": self, "limit": share * self.seconds}
        pool.connection_class = type(
            f"Bounded{kind.__name__}", (BoundedConnection, kind), attributes
        )
        return pool


class BoundedConnection(AbstractConnection):  # pylint: disable=abstract-method
    """Mixed into redis-py's connections: no step takes longer than the request's budget allows."""

    budget: TimeBudget
    limit: float
    name = ""

    def connect(self) -> None:
        self.socket_timeout = self.socket_connect_timeout = self._step()
        try:
            super().connect()  # type: ignore[no-untyped-call]
        except RedisError as error:
            setattr(error, NOT_SENT, True)
            raise

    def _connect(self) -> Any:
        """Try each address of the host, as redis-py does, but look them up within the budget."""
        name = getattr(self, "host", None)
        if name is None:  # a Unix socket
            return super()._connect()  # type: ignore[no-untyped-call, safe-super]
        failure = OSError(f"{name} has no address")
        for address in name_lookup.addresses(name, self._step()):
            self.name, self.host = name, address
            self.socket_timeout = self.socket_connect_timeout = self._step()
            try:
                return super()._connect()  # type: ignore[no-untyped-call, safe-super]
            except OSError as error:
                failure = error
            finally:
                self.host = name
        raise failure

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> Any:
        """The certificate is for the name, not for the address."""
        self.host = self.name
        # pylint: disable-next=no-member
        return super()._wrap_socket_with_ssl(sock)  # type: ignore[misc]

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send, and allow the answer a step's time."""
        step = self._step()
        if step != self.socket_timeout:
            self.socket_timeout = step
            self.update_current_socket_timeout(step)
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def _step(self) -> float:
        limit, request = self.limit, self.budget.of_request()
        remaining = request.remaining() if request else limit
        # A limit that stays the same costs no system call.
        return limit if remaining > UNTOUCHED_SHARE * limit else max(MIN_SECONDS, remaining)
