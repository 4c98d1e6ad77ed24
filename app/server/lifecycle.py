"""State that all processes of one service share: draining, living workers, start time.

The master imports this module before it forks, so the anonymous memory map below is the same in the
master and in every worker. A write is visible to all processes at once, without a file or a lock.

Each worker has a *slot*, a small number that a replacement takes over from the worker that ended.
Metric files are named by slot and not by process ID, so their number is bounded (metric_store.py).
"""

import mmap
import os
import struct
import time
from pathlib import Path

MAX_SLOTS = 512
_PID = struct.Struct("=q")
_CLEAN_EXIT = MAX_SLOTS * _PID.size
_DRAINING = _CLEAN_EXIT + MAX_SLOTS

_shared = mmap.mmap(-1, _DRAINING + 1)
_started = time.monotonic()
_slot = 0  # pylint: disable=invalid-name  # it changes once, after the fork


def uptime_seconds() -> float:
    """Seconds since the service (not this worker) started."""
    return time.monotonic() - _started


def draining() -> bool:
    """Whether the service was told to stop and only finishes requests."""
    return bool(_shared[_DRAINING])


def start_draining(started: bool = True) -> None:
    """Tell every process of this service that it is about to stop; False, for tests, undoes it."""
    _shared[_DRAINING] = started


def current_slot() -> int:
    """The slot of this process; 0 for the master or a process without one."""
    return _slot


def enter_slot(slot: int) -> None:
    """Called in a new worker right after the fork, with a slot from 1 to `MAX_SLOTS` - 1."""
    global _slot  # pylint: disable=global-statement
    _slot = slot
    _shared[_CLEAN_EXIT + slot] = 0
    _PID.pack_into(_shared, slot * _PID.size, os.getpid())


def free_slot() -> tuple[int, bool]:
    """The lowest slot without a living worker, and whether a worker that has ended was in it.

    For servers that do not number their workers. Callers must hold a lock until `enter_slot`.
    """
    pids = _pids()
    slot = next(slot for slot, pid in pids.items() if not pid or not Path(f"/proc/{pid}").exists())
    return slot, pids[slot] != 0


def exit_cleanly() -> None:
    """Called in a worker that ends as planned, so that its end does not count as a crash."""
    _shared[_CLEAN_EXIT + _slot] = 1


def leave_slot(slot: int) -> bool:
    """Called in the master when a worker is gone: whether it ended as planned."""
    _PID.pack_into(_shared, slot * _PID.size, 0)
    return bool(_shared[_CLEAN_EXIT + slot])


def workers() -> dict[int, int]:
    """Process ID of every living worker by slot; this process alone if there is no master."""
    return {slot: pid for slot, pid in _pids().items() if pid} or {1: os.getpid()}


def _pids() -> dict[int, int]:
    return {slot: _PID.unpack_from(_shared, slot * _PID.size)[0] for slot in range(1, MAX_SLOTS)}
