"""One computation for all threads of this process that want the same thing."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class SingleFlight:
    """The first caller for a key computes; whoever asks meanwhile gets the same result."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[Any]] = {}

    def share(self, key: str, compute: Callable[[], Any]) -> Any:
        """`compute()`, called by one of all concurrent callers for `key`; its error reaches all."""
        with self._lock:
            flight = self._under_way.get(key)
            leads = flight is None
            if flight is None:
                flight = self._under_way[key] = Future()
        if leads:
            try:
                flight.set_result(compute())
            except BaseException as error:  # pylint: disable=broad-exception-caught
                flight.set_exception(error)  # result() below raises it for the leader as well
            finally:
                with self._lock:
                    del self._under_way[key]
        return flight.result()
