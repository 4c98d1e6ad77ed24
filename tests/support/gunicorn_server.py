"""The real service for the tests: Gunicorn with its own settings file, on a free port."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from tests.support.processes import end_group, free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30

# What a developer has exported must not reach the service under test.
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "COVERAGE_PROCESS_CONFIG", "CI")


class GunicornServer:  # pylint: disable=too-many-instance-attributes
    """Usage: `with GunicornServer({"REDIS_URL": url}) as server: requests.get(server.base_url)`."""

    def __init__(self, env: Mapping[str, str] | None = None, root: Path = ROOT) -> None:
        """`env` holds the service's settings; BIND and APP_ENV have defaults here.

        `root` is the folder that holds `app/`.
        """
        self._root = root
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._folder = tempfile.TemporaryDirectory(prefix="gunicorn-")
        self.log_path = Path(self._folder.name) / "stdout.log"
        self.error_path = Path(self._folder.name) / "stderr.log"
        inherited = {name: os.environ[name] for name in KEPT if name in os.environ}
        self.env = inherited | {"BIND": f"127.0.0.1:{self.port}", "APP_ENV": "testing"}
        self.env |= env or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of Gunicorn's master."""
        return self._started().pid

    @property
    def log_lines(self) -> list[str]:
        """What it has written to stdout so far; a line still being written is left out."""
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        return [line for line in text.split("\n")[:-1] if line]

    @property
    def log_records(self) -> list[dict[str, Any]]:
        """The same lines, each of which must be JSON."""
        return [json.loads(line) for line in self.log_lines]

    @property
    def stderr(self) -> str:
        return self.error_path.read_text(encoding="utf-8", errors="replace")

    def start(self) -> Self:
        """Return once /health/live answers 200."""
        self.launch()
        try:
            wait_until(self._answers, seconds=START_SECONDS, why="/health/live answers")
        except TimeoutError as error:
            output = self.stderr + "\n".join(self.log_lines[-20:])
            self.stop()
            raise RuntimeError(f"the service did not start ({error}):\n{output}") from error
        except BaseException:  # Ctrl-C: nobody else would end it
            self.stop()
            raise
        return self

    def launch(self) -> None:
        """Start the processes without waiting, e.g. when the start is meant to fail."""
        command = [sys.executable, "-m", "app"]
        with self.log_path.open("ab") as out, self.error_path.open("ab") as err:
            self._process = subprocess.Popen(
                command,
                cwd=self._root,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def send_signal(self, number: signal.Signals) -> None:
        """To the master alone."""
        self._started().send_signal(number)

    def wait(self, seconds: float = 40) -> int:
        """The exit status; subprocess.TimeoutExpired when it is still there after `seconds`."""
        return self._started().wait(seconds)

    def stop(self) -> int:
        """End it with SIGTERM as a deployment would, then whatever is left; the exit status."""
        return end_group(self._started(), seconds=40)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the service has not been started")
        return self._process

    def _answers(self) -> bool:
        status = self._started().poll()
        if status is not None:
            raise TimeoutError(f"it has ended with status {status}")
        with suppress(requests.ConnectionError, requests.Timeout):
            return requests.get(f"{self.base_url}/health/live", timeout=1).status_code == 200
        return False
