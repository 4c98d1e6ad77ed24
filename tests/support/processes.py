"""What the servers started by the tests have in common."""

import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

# Below those that the kernel gives to outgoing connections, which might take a port from under us.
PORTS = range(16_000, 32_000)


def free_port() -> int:
    """A TCP port of the loopback interface that nothing uses right now."""
    for port in random.choices(PORTS, k=1000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no port of {PORTS} is free")


def wait_until(
    condition: Callable[[], object], *, seconds: float, why: str, interval: float = 0.02
) -> None:
    """Poll `condition` until it is true; raise TimeoutError saying `why` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {why}")
        time.sleep(interval)


def metrics_folder(pid: int) -> Path | None:
    """Where this process of the service counts, once it does."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    found = re.search(r"/\S*devops-starter-metrics-[^/\s]+", maps)
    return Path(found[0]) if found else None


def signal_is_caught(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler of its own for the signal."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(caught and int(caught[1], 16) >> (number - 1) & 1)


def end_group(process: subprocess.Popen[bytes], *, seconds: float = 10) -> int:
    """Ask the process to end, then kill its whole group; returns its exit status.

    The process must lead a session of its own (`start_new_session=True`), so that whatever it
    has forked goes with it.
    """
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGCONT)  # a stopped process would never see SIGTERM
        process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()
