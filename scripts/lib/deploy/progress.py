"""What a deploy tells while it runs: a line per step, with the seconds since the start."""

import os
import sys
import time


class Progress:
    """Prints to standard output; a waiting line is rewritten where a person looks on."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._terminal = sys.stdout.isatty()
        self._coloured = self._terminal and not os.environ.get("NO_COLOR")
        self._waiting = False

    def step(self, number: int, total: int, text: str) -> None:
        self.say(self._colour(1, f"{number}/{total}  {text}"))

    def say(self, text: str) -> None:
        self._end_waiting()
        print(f"{self._stamp()}  {text}", flush=True)

    def good(self, text: str) -> None:
        self.say(self._colour(32, text))

    def bad(self, text: str) -> None:
        self.say(self._colour(31, text))

    def waiting(self, text: str) -> None:
        """How something long is going; on a terminal only, where it takes the place of the last."""
        if self._terminal:
            print(f"\r\033[K{self._stamp()}       {text}", end="", flush=True)
            self._waiting = True

    def _end_waiting(self) -> None:
        if self._waiting:
            print(flush=True)
            self._waiting = False

    def _stamp(self) -> str:
        return f"{time.monotonic() - self._started:5.0f} s"

    def _colour(self, code: int, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._coloured else text
