"""Simulated users: requests at a constant rate, whatever the answers are."""

import itertools
import threading
import time
import urllib.error
import urllib.request
from collections import Counter

THREADS = 16
ANSWER_SECONDS = 15


class Traffic:
    """Requests paths in turn, `rate` times a second, between `start` and `stop`."""

    def __init__(self, base: str, paths: tuple[str, ...], rate: float) -> None:
        self.rate = rate
        self.answers: Counter[str] = Counter()
        self._paths = itertools.cycle(f"{base}{path}" for path in paths)
        self._due = time.monotonic()
        self._lock = threading.Lock()
        self._over = threading.Event()

    def start(self) -> None:
        """Begin; the threads do not keep the process alive."""
        for _ in range(THREADS):
            threading.Thread(target=self._request, daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _next(self) -> tuple[float, str]:
        """When the next request is due, and its URL."""
        with self._lock:
            self._due = max(self._due + 1 / self.rate, time.monotonic() - 1)
            return self._due, next(self._paths)

    def _request(self) -> None:
        while not self._over.is_set():
            due, url = self._next()
            if self._over.wait(max(0.0, due - time.monotonic())):
                return
            self.answers[_ask(url)] += 1


def _ask(url: str) -> str:
    """The class of the status, such as 5xx; `none` without an answer."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:  # nosec B310
            answer.read()
            return f"{answer.status // 100}xx"
    except urllib.error.HTTPError as error:
        return f"{error.code // 100}xx"
    except OSError:
        return "none"
