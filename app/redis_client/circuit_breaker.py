"""A circuit breaker: after a few failures in a row, callers no longer wait for Redis."""

import threading
import time
from collections.abc import Callable
from enum import IntEnum


class State(IntEnum):
    """The numbers are those of the metric `CIRCUIT_STATE`."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class CircuitBreaker:  # pylint: disable=too-many-instance-attributes
    """Opens after `threshold` consecutive failures; `on_change` is called with every new state.

    Closed lets every caller through, open none. Half-open lets one caller through each
    `open_seconds`, to see whether Redis is back. Failures of callers that waited side by side count
    as one: a short pause of Redis is not an outage because eight threads were waiting for it.
    """

    def __init__(
        self,
        threshold: int = 3,
        open_seconds: float = 1.0,
        on_change: Callable[[State], None] = lambda state: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.now = clock
        self._state = State.CLOSED
        self._threshold = threshold
        self._open_seconds = open_seconds
        self._on_change = on_change
        self._lock = threading.Lock()
        self._failures = 0
        self._failed_at = float("-inf")
        self._retry_at = 0.0

    @property
    def state(self) -> State:
        return self._state

    def allow(self) -> bool:
        """Whether the caller may try. It must then report `success` or `failure`."""
        if self._state is State.CLOSED:
            return True
        with self._lock:
            if self.state is State.CLOSED:
                return True  # another caller has just closed it
            if self.now() < self._retry_at:
                return False
            # This caller tries. If it never reports back, another one may try after a while.
            self._retry_at = self.now() + self._open_seconds
            self._enter(State.HALF_OPEN)
            return True

    def success(self) -> None:
        """Redis answered."""
        if self._state is State.CLOSED and not self._failures:
            return
        with self._lock:
            self._failures = 0
            self._enter(State.CLOSED)

    def failure(self, started: float) -> None:
        """Redis did not answer, or not in time.

        Args:
            started: what `now()` returned when this caller began to try.
        """
        with self._lock:
            if started >= self._failed_at:
                self._failures += 1
                self._failed_at = self.now()
            if self.state is State.HALF_OPEN or self._failures >= self._threshold:
                self._retry_at = self.now() + self._open_seconds
                self._enter(State.OPEN)

    def _enter(self, state: State) -> None:
        if state is not self.state:
            self._state = state
            self._on_change(state)
