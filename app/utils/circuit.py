"""A circuit breaker: after a few failures nobody waits for what is known to be away.

The states and their numbers are those of the metric `cache_circuit_state`.
"""

import threading
import time
from collections.abc import Callable
from enum import IntEnum


class State(IntEnum):
    """Closed lets all through, open none, half-open one at a time to see whether it is back."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class CircuitBreaker:  # pylint: disable=too-many-instance-attributes
    """Counts consecutive failures and decides who may try.

    Callers that fail side by side have met one and the same stall, which counts once: a moment's
    pause of Redis or of the machine is not an outage because eight threads were waiting.

    Args:
        threshold: consecutive failures that open the circuit.
        open_seconds: time after which one caller may try again.
        on_change: told of every new state.
        clock: seconds, monotonic; tests bring their own.
    """

    def __init__(
        self,
        threshold: int = 3,
        open_seconds: float = 1.0,
        on_change: Callable[[State], None] = lambda state: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threshold = threshold
        self._open_seconds = open_seconds
        self._on_change = on_change
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._failed_at = float("-inf")
        self._retry_at = 0.0
        self._state = State.CLOSED

    @property
    def state(self) -> State:
        """The state now."""
        return self._state

    def now(self) -> float:
        """Seconds on the breaker's clock."""
        return self._clock()

    def allow(self) -> bool:
        """Whether the caller may try; who may must report `success` or `failure` after."""
        if self._state is State.CLOSED:
            return True
        with self._lock:
            if self.state is State.CLOSED:
                return True  # another caller has closed it just now
            if self._clock() < self._retry_at:
                return False
            # This caller tries. Should it die without a word, the next one may after a while.
            self._retry_at = self._clock() + self._open_seconds
            self._enter(State.HALF_OPEN)
            return True

    def success(self) -> None:
        """The store answered."""
        if self._state is State.CLOSED and not self._failures:
            return
        with self._lock:
            self._failures = 0
            self._enter(State.CLOSED)

    def failure(self, began: float) -> None:
        """The store did not answer, or not in time.

        Args:
            began: what `now` said when this caller began to try.
        """
        with self._lock:
            if began >= self._failed_at:
                self._failures += 1
                self._failed_at = self._clock()
            if self._state is State.HALF_OPEN or self._failures >= self._threshold:
                self._retry_at = self._clock() + self._open_seconds
                self._enter(State.OPEN)

    def _enter(self, state: State) -> None:
        if state is not self._state:
            self._state = state
            self._on_change(state)
