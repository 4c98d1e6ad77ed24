"""The number of CPUs that this process may use, and of workers that follows from it."""

import os
from contextlib import suppress
from pathlib import Path

from app.config import Settings

CGROUP = Path("/sys/fs/cgroup")
# Quota and period in microseconds: cgroup version 2, then version 1.
_LIMITS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))


def cpu_limit(cgroup: Path = CGROUP) -> int:
    """The machine's CPUs, less what affinity and the cgroup forbid; at least 1."""
    # macOS and Windows have no affinity.
    has_affinity = hasattr(os, "sched_getaffinity")
    cpus = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    for names in _LIMITS:
        # No limit is "max" in version 2 and -1 in version 1.
        with suppress(OSError, ValueError):
            fields = " ".join((cgroup / name).read_text(encoding="ascii") for name in names)
            quota, period = (int(field) for field in fields.split())
            if quota > 0:
                return max(1, min(cpus, round(quota / period)))
    return cpus


def worker_count(settings: Settings) -> int:
    """Worker processes: WEB_CONCURRENCY, else one for each CPU and at least two.

    The embedded store lives in one process, so it gets one.
    """
    if settings.embedded_store:
        return 1
    return settings.web_concurrency or max(2, cpu_limit())
