"""What the programs and servers started by the tests have in common."""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.support.paths import ROOT

# Below those that the kernel gives to outgoing connections, which might take a port from under us.
PORTS = range(16_000, 32_000)


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | str = ROOT,
    env: Mapping[str, str] | None = None,
    seconds: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, without input; its outputs are text.

    Raises:
        subprocess.TimeoutExpired: it took longer than `seconds`.
    """
    return subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def output_of(done: subprocess.CompletedProcess[str]) -> str:
    """What a program has printed that must have succeeded."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Programs:
    """Stand-ins for programs such as gh: each notes how it is called, then runs its script."""

    def __init__(self, folder: Path, tools: str = "") -> None:
        """With `tools`, no other program of the machine is found."""
        self.folder, self._log = folder, folder / "calls"
        folder.mkdir(exist_ok=True)
        self._log.touch()
        self.link(*tools.split())
        self.path = str(folder) if tools else f"{folder}:{os.environ['PATH']}"

    def link(self, *tools: str) -> None:
        for name in tools:
            (self.folder / name).symlink_to(str(shutil.which(name)))

    def add(self, name: str, script: str = "") -> None:
        path = self.folder / name
        note = f'printf "%s\\n" "{name} $*" >>"{self._log}"'
        path.write_text(f"#!/usr/bin/env bash\n{note}\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self._log.read_text(encoding="utf-8").splitlines()


def free_port() -> int:
    """A TCP port of the loopback interface that nothing uses right now."""
    for port in random.choices(PORTS, k=1000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no port of {PORTS} is free")


def wait_until(
    condition: Callable[[], object], *, seconds: float = 30, why: str, interval: float = 0.02
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


def sleeps(pid: int) -> bool:
    """Whether the process waits for something, in each of ten looks within a fifth of a second."""
    for _ in range(10):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        if text.rpartition(")")[2].split()[0] != "S":
            return False
        time.sleep(0.02)
    return True


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
