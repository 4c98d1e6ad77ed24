"""One computation for all threads of this process that want the same value."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """The first caller for a key computes. Callers that ask meanwhile get the same result."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight: dict[str, Future[T]] = {}

    def share(self, key: str, compute: Callable[[], T]) -> T:
        """`compute()`, called by one of all concurrent callers for `key`; its error reaches all."""
        with self._lock:
            flight = self._in_flight.get(key)
            leads = flight is None
            if flight is None:
                flight = self._in_flight[key] = Future()
        if leads:
            try:
                flight.set_result(compute())
            except BaseException as error:  # pylint: disable=broad-exception-caught
                flight.set_exception(error)  # `result` raises it, for this caller as well
            finally:
                with self._lock:
                    del self._in_flight[key]
        return flight.result()
