"""A server under measurement: started on its cores, its CPU time and memory, stopped."""

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.support.paths import ROOT
from tests.support.processes import end_group, wait_until

START_SECONDS = 30.0
# Other variables of the shell, PYTHON… above all, must not change what is measured.
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


class Server:  # pylint: disable=too-many-instance-attributes
    """Usage: `with Server(…) as server: …`; it answers once the block begins."""

    def __init__(  # pylint: disable=too-many-arguments
        self,
        name: str,
        command: Sequence[str],
        *,
        port: int,
        folder: Path,
        cores: frozenset[int],
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> None:
        """Args:
        name: for messages and the log file.
        command: stays in the foreground and answers /health on `port` of the loopback interface.
        folder: for the log; in memory.
        cores: the only ones it may use.
        env: added to the few variables that it inherits.
        """
        self.name = name
        self.port = port
        management = (env or {}).get("MANAGEMENT_BIND", "")
        self.metrics_port = int(management.rpartition(":")[2] or port)
        self.start_seconds = 0.0
        self._command = list(command)
        self._cores = cores
        self._env = inherited() | dict(env or {})
        self._cwd = cwd
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._process.pid

    def start(self) -> Self:
        """Return once it answers; `start_seconds` says how long that took."""
        started = time.perf_counter()
        with self.log.open("ab") as log:
            # No preexec_fn, which would slow the start: children inherit this process's cores.
            before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, self._cores)
            try:
                self._process = subprocess.Popen(
                    self._command,
                    cwd=self._cwd,
                    env=self._env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            finally:
                os.sched_setaffinity(0, before)
        try:
            self._wait(started + START_SECONDS)
        except BaseException:  # Ctrl-C, too
            self.stop()
            raise
        self.start_seconds = time.perf_counter() - started
        return self

    def stop(self) -> None:
        """Stop it and all processes that it started."""
        if self._process is not None:
            end_group(self._process, seconds=5)
            self._process = None

    def tree(self) -> list[int]:
        """Process IDs: its own first, then those of all processes it started."""
        found = [self.pid]
        for pid in found:
            with suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    found += map(int, (task / "children").read_text(encoding="ascii").split())
        return found

    def cpu_seconds(self) -> float:
        """CPU time of all its processes so far."""
        ticks = 0  # of 10 ms: measure over many requests
        for pid in self.tree():
            with suppress(OSError):
                text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
                ticks += sum(map(int, text.rpartition(")")[2].split()[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def pss_bytes(self) -> int:
        """Memory of all its processes, each shared page counted once in all."""
        kilobytes = 0
        for pid in self.tree():
            with suppress(OSError):
                text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
                kilobytes += int(text.partition("\nPss:")[2].split()[0])
        return kilobytes * 1024

    def kill_worker(self) -> None:
        """Kill one worker, and return once it is replaced."""
        before = self.tree()[1:]
        victim = min(before)  # the oldest: all take turns
        os.kill(victim, signal.SIGKILL)
        wait_until(
            lambda: victim not in self.tree() and len(self.tree()) > len(before),
            seconds=START_SECONDS,
            why=f"{self.name} replaces a dead worker",
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _wait(self, deadline: float) -> None:
        while not self._answers():
            ended = self._process is None or self._process.poll() is not None
            if ended or time.perf_counter() > deadline:
                lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
                what = "ended at once" if ended else "does not answer"
                raise RuntimeError("\n".join([f"{self.name} {what}:", *lines[-15:]]))
            time.sleep(0.002)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def inherited() -> dict[str, str]:
    """The variables of this process that a measured one gets."""
    return {key: os.environ[key] for key in KEPT if key in os.environ}
