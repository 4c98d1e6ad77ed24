"""What all processes of one service share: is it draining, which workers live, since when.

Gunicorn's master imports this module before it forks, so the anonymous memory map below is one
and the same in the master and in every worker: a write is seen by all at once, without a file,
a lock or a signal.

Each worker has a *slot*, a small number that a replacement takes over from the worker that has
died. Slots instead of process IDs are what keeps metric files from piling up (see metrics.py).
"""

import mmap
import os
import struct
import time
from pathlib import Path

MAX_SLOTS = 512
MASTER_SLOT = 0
_PID = struct.Struct("=q")
_CLEAN_EXIT = MAX_SLOTS * _PID.size
_DRAINING = _CLEAN_EXIT + MAX_SLOTS

_shared = mmap.mmap(-1, _DRAINING + 1)
_started = time.monotonic()
_slot = MASTER_SLOT  # pylint: disable=invalid-name  # it changes, once, after the fork


def uptime_seconds() -> float:
    """Seconds since the service (not this worker) started."""
    return time.monotonic() - _started


def draining() -> bool:
    """Whether the service has been told to stop and only finishes what it has."""
    return bool(_shared[_DRAINING])


def start_draining() -> None:
    """Tell every process of this service that it is about to stop."""
    _shared[_DRAINING] = 1


def stop_draining() -> None:
    """Take `start_draining` back; tests use it, a stopping service never does."""
    _shared[_DRAINING] = 0


def current_slot() -> int:
    """This process's slot: 0 for the master or a process without Gunicorn, else from 1."""
    return _slot


def enter_slot(slot: int) -> None:
    """Called in a new worker right after the fork.

    Args:
        slot: the number this worker answers to, from 1 to `MAX_SLOTS` - 1.
    """
    global _slot  # pylint: disable=global-statement
    _slot = slot
    _shared[_CLEAN_EXIT + slot] = 0
    _PID.pack_into(_shared, slot * _PID.size, os.getpid())


def free_slot() -> tuple[int, bool]:
    """The lowest slot without a living worker; for servers that give workers no number.

    Only for processes that take their turns: between this and `enter_slot` nobody else may ask.

    Returns:
        The slot, and whether a worker had it that is gone now.
    """
    pids = {slot: _PID.unpack_from(_shared, slot * _PID.size)[0] for slot in range(1, MAX_SLOTS)}
    free = (slot for slot, pid in pids.items() if not (pid and Path(f"/proc/{pid}").exists()))
    slot = next(free)
    return slot, pids[slot] != 0


def exit_cleanly() -> None:
    """Called in a worker that ends of its own accord, so that its end is not taken for a crash."""
    _shared[_CLEAN_EXIT + _slot] = 1


def leave_slot(slot: int) -> bool:
    """Called in the master when a worker is gone.

    Returns:
        Whether the worker had ended of its own accord.
    """
    _PID.pack_into(_shared, slot * _PID.size, 0)
    return bool(_shared[_CLEAN_EXIT + slot])


def workers() -> dict[int, int]:
    """Process ID of every living worker by slot; this process alone where there is no master."""
    pids = {slot: _PID.unpack_from(_shared, slot * _PID.size)[0] for slot in range(1, MAX_SLOTS)}
    return {slot: pid for slot, pid in pids.items() if pid} or {1: os.getpid()}
