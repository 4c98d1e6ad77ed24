"""How many CPU cores this process may use."""

import os
from contextlib import suppress
from pathlib import Path

from app.config import Settings

CGROUP = Path("/sys/fs/cgroup")
# The quota and the period it is for, in microseconds: version 2 of the cgroups, then version 1.
_LIMITS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))


def cores_allowed(cgroup: Path = CGROUP) -> int:
    """The machine's cores, less what affinity and the cgroup forbid; at least 1."""
    cores = len(os.sched_getaffinity(0))
    for names in _LIMITS:
        # No limit is "max" in version 2 and -1 in version 1.
        with suppress(OSError, ValueError):
            fields = " ".join((cgroup / name).read_text(encoding="ascii") for name in names)
            quota, period = (int(field) for field in fields.split())
            if quota > 0:
                return max(1, min(cores, round(quota / period)))
    return cores


def worker_count(settings: Settings) -> int:
    """Worker processes: as told, else one a core and two at least; one for the embedded store."""
    if settings.embedded_store:
        return 1
    return settings.web_concurrency or max(2, cores_allowed())
