"""What keeps Redis from serving, in its own words: for the log, which names each cause once."""

import logging
import re
import threading
import time

from app.redis_client.circuit_breaker import State

log = logging.getLogger("app.redis")

_OF_THE_COMMAND = re.compile(
    r"^Command # .* caused error: |,? with args beginning with.*|,? script: .*", re.DOTALL
)
# A refusal counts until a write has succeeded this long after it.
SETTLED_SECONDS = 5.0


class Trouble:
    """The causes of the failures since Redis last served; all clients of a process share one."""

    def __init__(self) -> None:
        self.refusal: str | None = None
        """The code of Redis's answer to the last write that it refused, such as READONLY."""
        self.circuits: dict[int, int] = {}
        """The state of each client's circuit breaker."""
        self._refused_at = 0.0
        self._logged: dict[str, set[State]] = {}
        """Of each circuit that is not closed, the states that it was in since."""
        self._named: set[str] = set()
        self._lock = threading.Lock()

    def failed(self, error: Exception) -> None:
        """Redis cannot be used."""
        self._name(f"Redis is unavailable: {cause(error)}")

    def refused(self, error: Exception) -> None:
        """Redis answered, but did not do what it was asked."""
        self.refusal, self._refused_at = code(error), time.monotonic()
        self._name(f"Redis refuses commands: {self.refusal}: {cause(error)}")

    def circuit_changed(self, purpose: str, state: State, failure: str) -> None:
        """A circuit breaker has changed. Half-open is logged once an outage, not each second."""
        with self._lock:
            if state is State.CLOSED:
                if not self._logged.pop(purpose, None):
                    return
            else:
                states = self._logged.setdefault(purpose, set())
                if state in states:
                    return
                states.add(state)
        words = state.name.lower().replace("_", "-")
        level = logging.WARNING if state is State.OPEN else logging.INFO
        extra = {"exception": failure} if state is State.OPEN else None
        log.log(level, "The circuit to Redis for %s is %s", purpose, words, extra=extra)

    def answered(self) -> None:
        """Redis can be used again."""
        if self.refusal is None:
            self._end()

    def wrote(self) -> None:
        """A write has succeeded."""
        if self.refusal and time.monotonic() - self._refused_at > SETTLED_SECONDS:
            self.refusal = None
            self._end()

    def _name(self, line: str) -> None:
        with self._lock:
            if line in self._named:
                return
            self._named.add(line)
        log.warning(line)

    def _end(self) -> None:
        with self._lock:
            named, self._named = self._named, set()
        if named:
            log.info("Redis serves again.")


def cause(error: Exception) -> str:
    """The error's text, without the command and its script, which may hold a password or data."""
    return _OF_THE_COMMAND.sub("", str(error))[:300]


def code(error: Exception) -> str:
    """What the answer begins with, such as READONLY; else the type of the error."""
    found = re.match(r"[A-Z]{3,}\b", cause(error))
    return str(getattr(error, "status_code", None) or (found[0] if found else type(error).__name__))
