"""Latency at a constant rate, measured from a process of its own on the load's cores.

Usage: python -m tests.performance.latency PORT PATH RATE SECONDS    (prints the p99 in ms)
"""

import gc
import sys

from tests.performance.capacity import run_on
from tests.support.load import Load, percentile, statuses

WARM_UP_SECONDS = 1.0


def measure(port: int, path: str, rate: float, seconds: float, cores: frozenset[int]) -> float:
    """Milliseconds within which 99 % of the requests were answered, from when they were due.

    Raises:
        RuntimeError: an answer was missing or not a 200.
    """
    arguments = [str(port), path, str(rate), str(seconds)]
    return float(run_on(cores, [sys.executable, "-m", "tests.performance.latency", *arguments]))


def main() -> None:
    port, path, rate, seconds = sys.argv[1:]
    gc.disable()  # its pauses would look like the server's
    for duration in (WARM_UP_SECONDS, float(seconds)):
        load = Load(
            int(port),
            [("GET", path)],
            connections=64,
            rate=float(rate),
            seconds=duration,
            timeout=10,
        )
        answers = load.run()
    if set(statuses(answers)) != {200}:
        sys.exit(f"{path} was answered with {dict(statuses(answers))}")
    print(1000 * percentile(answers, 99))


if __name__ == "__main__":
    main()
