"""One run: how much effort it makes, what it measures with, and what it tells meanwhile."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.performance.capacity import Load
from tests.performance.machine import MEMORY, Cores, cores
from tests.performance.variants import Stage, Variant
from tests.support.redis_server import RedisServer

# Each variant has as many workers, on the same cores.
WORKERS = 2


@dataclass(frozen=True)
class Effort:  # pylint: disable=too-many-instance-attributes
    """How often and how long; more of both makes smaller differences visible."""

    quick: bool
    rounds: int
    seconds: float
    """Of each load."""
    steady: float
    """Seconds of each load at a constant rate."""
    steady_rounds: int
    """Of those: the slowest hundredth varies more than what all requests do together."""
    few: int
    """Rounds of what hardly varies."""
    items: int
    """The longer one of the two lists."""
    deaths: int
    """Workers killed before the scrape is measured again."""


FULL = Effort(
    False, rounds=5, seconds=4, steady=5, steady_rounds=15, few=3, items=1_000_000, deaths=50
)
QUICK = Effort(
    True, rounds=2, seconds=2, steady=3, steady_rounds=2, few=1, items=1_000_000, deaths=50
)


class Run:
    """What the sections share."""

    def __init__(self, stage: Stage, effort: Effort) -> None:
        self.stage = stage
        self.effort = effort
        self.workers = WORKERS
        self.notes: dict[str, str] = {}
        self._started = time.monotonic()

    @property
    def cores(self) -> Cores:
        return self.stage.cores

    @property
    def load(self) -> Load:
        """What is measured with."""
        return Load(self.effort.seconds, self.cores.load)

    @property
    def warm_up(self) -> Load:
        """What comes before."""
        return Load(1, self.cores.load)

    def offered(self, variants: Sequence[Variant]) -> list[Variant]:
        """Those that this version of the service offers; the others are noted once."""
        for variant in variants:
            reason = variant.missing()
            if reason and variant.name not in self.notes:
                self.note(variant.name, reason)
        return [variant for variant in variants if variant.name not in self.notes]

    def note(self, name: str, reason: str) -> None:
        """Why there is nothing to read of a variant or a section, for the report too."""
        self.notes[name] = reason
        self.say(f"{name}: {reason}")

    def say(self, text: str) -> None:
        """Tell how far it is, on standard error."""
        elapsed = round(time.monotonic() - self._started)
        print(f"[{elapsed // 60:2}:{elapsed % 60:02}] {text}", file=sys.stderr, flush=True)


@contextmanager
def prepared(*, quick: bool) -> Iterator[Run]:
    """A folder in memory and a Redis of its own, both gone afterwards."""
    placed = cores()
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=MEMORY if MEMORY.is_dir() else None))
    redis = RedisServer()
    try:
        redis.start()
        os.sched_setaffinity(redis.pid, placed.proxy)
        run = Run(Stage(folder, redis.url, placed), QUICK if quick else FULL)
        run.say(str(placed))
        yield run
    finally:
        redis.close()
        shutil.rmtree(folder, ignore_errors=True)
