"""Programs of the observability pipeline, run with the configuration of monitoring/.

Each is looked for where a variable says: E2E_OTELCOL a collector with the components of
monitoring/collector/traces.yml, E2E_LOGCOL one with those of logs.yml (both may be the contrib
distribution; collector-builder.yml makes a small one for logs), E2E_JAEGER Jaeger 2,
E2E_SEARCH_URL a running Elasticsearch or OpenSearch that asks for no password and may be filled.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pytest
import requests
import yaml

from tests.support.paths import ROOT
from tests.support.processes import end_group, free_port, wait_until

COLLECTOR = ROOT / "monitoring" / "collector"


def program(variable: str) -> str:
    """The program that a variable names; the test is skipped without it."""
    path = shutil.which(os.environ.get(variable, ""))
    if path is None:
        pytest.skip(f"NO {variable}: set it to the program (tests/e2e/pipeline.py)")
    return path


class Program:
    """Starts, stops and kills one program; its files and ports stay the same."""

    def __init__(self, folder: Path, command: list[str], env: Mapping[str, str], url: str) -> None:
        """It is ready once `url` answers, whatever it says."""
        self._command = command
        self._env = {"PATH": os.environ["PATH"], "HOME": str(folder)} | dict(env)
        self._url = url
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self._command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        wait_until(self._answers, seconds=60, why=f"{self._command[0]} answers")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not end it."""
        if self._process:
            end_group(self._process, seconds=30)
            self._process = None

    def kill(self) -> None:
        """SIGKILL, as a crash would end it."""
        assert self._process
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, self.log.read_text(encoding="utf-8")[-3000:]
        try:
            requests.get(self._url, timeout=1)
        except requests.RequestException:
            return False
        return True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


class Collector(Program):
    """A collector with base.yml and a second file's content."""

    def __init__(
        self,
        folder: Path,
        variable: str,
        content: Mapping[str, Any],
        env: Mapping[str, str],
        *flags: str,
    ) -> None:
        """`variable` names its program; `content` is of traces.yml or logs.yml, perhaps changed."""
        folder.mkdir()
        port = free_port()
        reader = {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": port}}}}
        telemetry = {"telemetry": {"metrics": {"readers": [reader]}}}
        own = folder / "collector.yml"
        own.write_text(yaml.safe_dump({**content, "service": content["service"] | telemetry}))
        super().__init__(
            folder,
            [program(variable), f"--config={COLLECTOR / 'base.yml'}", f"--config={own}", *flags],
            {"QUEUE_FOLDER": str(folder / "queue")} | dict(env),
            f"http://127.0.0.1:{port}/metrics",
        )
        self._metrics = f"http://127.0.0.1:{port}/metrics"

    def metric(self, name: str) -> float:
        """The sum of a metric's series, a suffix such as _total left out; 0 without any."""
        text = requests.get(self._metrics, timeout=5).text
        found = re.findall(rf"^{name}\w*(?:\{{.*\}})? ([0-9.e+-]+)$", text, re.MULTILINE)
        return sum(map(float, found))


def configuration(name: str) -> dict[str, Any]:
    """A file of monitoring/collector."""
    content: dict[str, Any] = yaml.safe_load((COLLECTOR / name).read_text(encoding="utf-8"))
    return content


class Jaeger(Program):
    """Jaeger with monitoring/jaeger/jaeger.yml; asked through its query API."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        query, otlp = free_port(), free_port()
        self.url, self.otlp = f"http://127.0.0.1:{query}", f"http://127.0.0.1:{otlp}"
        env = {
            "JAEGER_FOLDER": str(folder),
            "JAEGER_QUERY_LISTEN": f"127.0.0.1:{query}",
            "JAEGER_OTLP_LISTEN": f"127.0.0.1:{otlp}",
        }
        config = ROOT / "monitoring" / "jaeger" / "jaeger.yml"
        quiet = "--set=service.telemetry.metrics.level=none"
        command = [program("E2E_JAEGER"), f"--config={config}", quiet]
        super().__init__(folder, command, env, f"{self.url}/api/services")

    def traces(self, service: str, **wanted: str) -> dict[str, dict[str, Any]]:
        """The traces of a service, by ID."""
        asked = {"service": service, "limit": "20000", "lookback": "1h"} | wanted
        answer = requests.get(f"{self.url}/api/traces", asked, timeout=60)
        answer.raise_for_status()
        return {trace["traceID"]: trace for trace in answer.json()["data"]}


def search_url() -> str:
    """The store of log lines; the test is skipped without it."""
    if "E2E_SEARCH_URL" not in os.environ:
        pytest.skip("NO E2E_SEARCH_URL: set it to a store's address (tests/e2e/pipeline.py)")
    return os.environ["E2E_SEARCH_URL"]
