"""Waiting for a condition, never for luck."""

import time
from collections.abc import Callable

from . import Problem


def wait_until(
    condition: Callable[[], object], *, seconds: float, why: str, interval: float = 0.5
) -> None:
    """Ask until the condition holds; raise Problem saying `why` after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Problem(f"not within {seconds:g} s: {why}")
        time.sleep(interval)
