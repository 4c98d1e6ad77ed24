"""The machine: the cores each part gets, the programs that are needed, its description."""

import os
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

# Debian's packages have the same names.
PROGRAMS = ("wrk", "nginx", "redis-server", "valgrind")

# In memory, so that no disk is measured. Everything the run writes goes below.
MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Cores:
    """The placement. The service has cores to itself if there are at least two."""

    service: frozenset[int]
    """The service's workers, or its peer's."""
    proxy: frozenset[int]
    """nginx and Redis."""
    load: frozenset[int]
    """wrk and the load generator."""

    @property
    def all(self) -> frozenset[int]:
        return self.service | self.proxy | self.load

    def __str__(self) -> str:
        if len(self.all) == 1:
            return "one core only: service, nginx, Redis and load share it"
        shared = " (shared)" if self.proxy & self.load else ""
        return (
            f"service on core {_names(self.service)}; nginx and Redis on {_names(self.proxy)},"
            f" load on {_names(self.load)}{shared}"
        )


def cores(allowed: set[int] | None = None) -> Cores:
    """Half of the cores for the service, the rest for the others.

    Args:
        allowed: core numbers; those this process may use unless given.
    """
    numbers = sorted(os.sched_getaffinity(0) if allowed is None else allowed)
    if len(numbers) == 1:
        return Cores(*[frozenset(numbers)] * 3)
    half = len(numbers) // 2
    rest = numbers[half:]
    service = frozenset(numbers[:half])
    if len(rest) == 1:
        return Cores(service, frozenset(rest), frozenset(rest))
    middle = len(rest) // 2
    return Cores(service, frozenset(rest[:middle]), frozenset(rest[middle:]))


def check_programs(*needed: str) -> None:
    """Raises RuntimeError with one line that names the packages to install."""
    # nginx is in /usr/sbin, which an ordinary user's PATH need not have.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = " ".join(program for program in needed if not shutil.which(program))
    if missing:
        raise RuntimeError(f"missing here; install with: apt-get install {missing}")


def description() -> dict[str, str | int]:
    """CPU, cores, system and Python, for the report."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return {
        "cpu": model[1] if model else "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _names(numbers: frozenset[int]) -> str:
    return ",".join(str(number) for number in sorted(numbers))
