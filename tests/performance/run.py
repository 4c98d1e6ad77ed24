"""One run of the bench: rounds and seconds, the variants, and messages about its progress."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.performance import capacity
from tests.performance.machine import MEMORY, cores
from tests.performance.variants import ALL, OURS, Stage, Variant, before
from tests.support.redis_server import RedisServer

# Each variant has as many workers, on the same cores.
WORKERS = 2
WARM_UP_SECONDS = 1


@dataclass(frozen=True)
class Effort:
    """How often and how long; more of both makes smaller differences visible."""

    rounds: int
    seconds: float
    """Of each load, also of those at a constant rate."""
    steady_rounds: int
    """At a constant rate: the slowest hundredth varies more than the median."""
    starts: int
    few: int
    """Rounds of quantities that hardly vary."""


FULL = Effort(rounds=5, seconds=4, steady_rounds=15, starts=15, few=3)
QUICK = Effort(rounds=2, seconds=1, steady_rounds=2, starts=5, few=1)
# Two variants only, so more rounds; the differences to be seen are smaller.
PAIR = Effort(rounds=12, seconds=4, steady_rounds=0, starts=40, few=5)
QUICK_PAIR = Effort(rounds=4, seconds=2, steady_rounds=0, starts=20, few=3)


class Run:
    """The state that the measurements share."""

    def __init__(self, stage: Stage, *, quick: bool, against: Path | None) -> None:
        self.stage = stage
        self.cores = stage.cores
        self.paired = against is not None
        self.notes: dict[str, str] = {}
        self.variants: tuple[Variant, ...] = ALL
        self.effort = QUICK if quick else FULL
        if against:
            self.variants = (OURS, before(against))
            self.effort = QUICK_PAIR if quick else PAIR
        self._started = time.monotonic()

    def capacity(self, port: int, path: str, *, warm_up: bool = False) -> float:
        """Requests a second for a path."""
        seconds = WARM_UP_SECONDS if warm_up else self.effort.seconds
        return capacity.measure(port, path, seconds, self.cores.load)

    def turns(self, variants: Sequence[Variant], rounds: int) -> Iterator[Variant]:
        """The variants in each round, each time beginning with another one."""
        for number in range(rounds):
            turn = number % len(variants)
            yield from (*variants[turn:], *variants[:turn])

    def note(self, name: str, reason: str) -> None:
        """Why a section has no figures, for the report too."""
        self.notes[name] = reason
        self.say(f"{name}: {reason}")

    def say(self, text: str) -> None:
        """Print the progress on standard error."""
        elapsed = round(time.monotonic() - self._started)
        print(f"[{elapsed // 60:2}:{elapsed % 60:02}] {text}", file=sys.stderr, flush=True)


@contextmanager
def prepared(*, quick: bool, against: Path | None = None) -> Iterator[Run]:
    """A folder in memory and a Redis server, both removed afterwards."""
    placed = cores()
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=MEMORY if MEMORY.is_dir() else None))
    redis = RedisServer()
    try:
        redis.start()
        os.sched_setaffinity(redis.pid, placed.proxy)
        run = Run(Stage(folder, redis.url, placed), quick=quick, against=against)
        run.say(str(placed))
        yield run
    finally:
        redis.close()
        shutil.rmtree(folder, ignore_errors=True)
