"""The real service for tests: `python -m app` with its own settings, on a free port.

Integration tests start it by the fixture `start_service` (tests/integration/conftest.py).
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, Self

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from app.utils import metrics
from tests.support.paths import ROOT
from tests.support.processes import end_group, free_port, wait_until

START_SECONDS = 30
EMBEDDED = "memory://"

# A developer's own settings must not reach the service under test.
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "COVERAGE_PROCESS_CONFIG", "CI")


class Service:
    """Usage: `with Service({"REDIS_URL": url}) as service: service.get("/health")`."""

    def __init__(self, env: Mapping[str, str] | None = None, root: Path | str = ROOT) -> None:
        """`env` holds the service's settings; BIND and APP_ENV have defaults here.

        `root` is the folder that contains `app/`.
        """
        self._root = root
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._folder = tempfile.TemporaryDirectory(prefix="service-")
        self.log_path = Path(self._folder.name) / "stdout.log"
        inherited = {name: os.environ[name] for name in KEPT if name in os.environ}
        self.env = inherited | {"BIND": f"127.0.0.1:{self.port}", "APP_ENV": "testing"}
        self.env["MANAGEMENT_BIND"] = f"127.0.0.1:{free_port()}"
        self.env |= env or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def log_lines(self) -> list[str]:
        """All complete lines on stdout so far."""
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        return [line for line in text.split("\n")[:-1] if line]

    @property
    def log_records(self) -> list[dict[str, Any]]:
        """The same lines, each of which must be JSON."""
        return [json.loads(line) for line in self.log_lines]

    def messages(self, text: str) -> list[str]:
        return [each["message"] for each in self.log_records if text in each["message"]]

    @property
    def stderr(self) -> str:
        return self.log_path.with_name("stderr.log").read_text(encoding="utf-8", errors="replace")

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, self.base_url + path, **{"timeout": 20} | options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, json_body: Any, **options: Any) -> requests.Response:
        return self.request("POST", path, json=json_body, **options)

    def put(self, path: str, json_body: Any, **options: Any) -> requests.Response:
        return self.request("PUT", path, json=json_body, **options)

    def manage(self, path: str, **options: Any) -> requests.Response:
        """Ask the management port, or the one for all if there is none."""
        address = self.env["MANAGEMENT_BIND"]
        url = f"http://{address}" if address else self.base_url
        return requests.get(url + path, **{"timeout": 20} | options)

    def scrape(self) -> str:
        return self.manage("/metrics").text

    def metric(self, metric: metrics.AnyMetric | str, suffix: str = "", **labels: str) -> float:
        """Sum of all samples of a metric that have these labels, as a scrape shows it now."""
        name = metric if isinstance(metric, str) else metrics.series_name(metric) + suffix
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.scrape())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def worker_pids(self) -> set[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return {int(pid) for pid in children.split()}

    def wait_for_workers(self, number: int) -> None:
        wait_until(lambda: self.metric(metrics.APP_WORKERS) == number, why="all workers run")

    def wait_for_boots(self, number: int) -> None:
        wait_until(lambda: len(self.messages("Booting worker")) >= number, why="workers start")

    def start(self) -> Self:
        self.launch()
        try:
            wait_until(self._is_alive, seconds=START_SECONDS, why="/health/live answers")
        except TimeoutError as error:
            output = self.stderr + "\n".join(self.log_lines[-20:])
            self.stop()
            raise RuntimeError(f"the service did not start ({error}):\n{output}") from error
        except BaseException:  # Ctrl-C must not leave it running
            self.stop()
            raise
        return self

    def launch(self) -> None:
        """Start the processes without waiting, e.g. when the start is meant to fail."""
        errors = self.log_path.with_name("stderr.log")
        with self.log_path.open("ab") as out, errors.open("ab") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app"],
                cwd=self._root,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def send_signal(self, number: signal.Signals) -> None:
        self._started().send_signal(number)

    def wait(self, seconds: float = 40) -> int:
        """The exit status; subprocess.TimeoutExpired if it still runs after `seconds`."""
        return self._started().wait(seconds)

    def stop(self) -> int:
        """End it with SIGTERM as a deployment would, then kill what is left; the exit status."""
        return end_group(self._started(), seconds=40)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()
        self._folder.cleanup()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the service has not been started")
        return self._process

    def _is_alive(self) -> bool:
        status = self._started().poll()
        if status is not None:
            raise TimeoutError(f"it has ended with status {status}")
        with suppress(requests.ConnectionError, requests.Timeout):
            return self.get("/health/live", timeout=1).status_code == 200
        return False


class StartService(Protocol):
    def __call__(
        self, *, redis: str = "", server: str = "gunicorn", root: Path | str = ROOT, **settings: str
    ) -> AbstractContextManager[Service]: ...


# Overrides the fixture `server` of tests/integration/conftest.py.
on_both_servers = pytest.mark.parametrize(
    "server",
    [
        "gunicorn",
        pytest.param(
            "granian",
            marks=pytest.mark.skipif(
                find_spec("granian") is None,
                reason="NO GRANIAN: pip install -r requirements-granian.txt",
            ),
        ),
    ],
)
