"""One computation for all threads of this process that want the same value."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from app.utils import tracing
from app.utils.spans import Link

T = TypeVar("T")


class _Flight(Future[T]):
    """A computation under way, and the span that it is part of."""

    computed_in: Link | None = None


class SingleFlight(Generic[T]):
    """The first caller for a key computes. Callers that ask meanwhile get the same result."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight: dict[str, _Flight[T]] = {}

    def share(self, key: str, compute: Callable[[], T]) -> T:
        """`compute()`, called by one of all concurrent callers for `key`; its error reaches all."""
        with self._lock:
            flight = self._in_flight.get(key)
            leads = flight is None
            if flight is None:
                flight = self._in_flight[key] = _Flight()
                flight.computed_in = tracing.here()
        if not leads:
            with tracing.span("wait for another thread's value", flight.computed_in):
                return flight.result()
        try:
            flight.set_result(compute())
        except BaseException as error:  # pylint: disable=broad-exception-caught
            flight.set_exception(error)  # `result` raises it, for this caller as well
        finally:
            with self._lock:
                del self._in_flight[key]
        return flight.result()
