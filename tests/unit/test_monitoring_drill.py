"""scripts/drill.sh and slo-report.sh against a stack that is played: what they do, say and leave.

Real stacks have their turn in tests/e2e.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.listener import Asked, listening
from tests.support.paths import ROOT
from tests.support.processes import run, wait_until

LABELS = {"alertname": "ErrorBudgetBurnsFast", "slo": "availability"}


class Played:
    """Service, Prometheus and Alertmanager in one; the alert follows the fault at once."""

    def __init__(self) -> None:
        self.url = ""
        self.fault: dict[str, Any] | None = None
        self.always = self.never = False
        """Whether the alert fires whatever happens, or never."""
        self.refusal = 0
        """Status with which faults are refused."""

    def __call__(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "POST" and self.refusal:
            return self.refusal, {}
        if asked.method in ("POST", "DELETE"):
            assert asked.authorization == "Bearer a-token"
            self.fault = asked.body
        fires = self.always or (self.fault is not None and not self.never)
        alert = {"labels": LABELS, "state": "firing", "status": {"state": "active"}}
        firing = [alert | {"receivers": [{"name": "page"}]}] if fires else []
        answers = {
            "/api/v1/alerts": {"data": {"alerts": firing}},
            "/api/v1/query": {"data": {"result": [{"value": [0, "200"]}]}},
            "/api/v2/alerts": firing,
            "/api/v2/status": {"config": {"original": "receivers:\n- name: page\n"}},
        }
        return 200, answers.get(asked.path.partition("?")[0], {})


@pytest.fixture
def played() -> Iterator[Played]:
    stack = Played()
    with listening(stack) as server:
        stack.url = server.url
        yield stack


def start(played: Played, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    (folder / "token").write_text("a-token\n")
    places = ("--url", played.url, "--prometheus", played.url, "--alertmanager", played.url)
    return subprocess.Popen(
        [ROOT / "scripts" / "drill.sh", *places, "--token-file", folder / "token", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def hold(played: Played, folder: Path, *arguments: str) -> tuple[int, str, str]:
    with start(played, folder, *arguments) as process:
        output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def test_a_missing_alert_is_a_failure_and_ends_the_fault(played: Played, tmp_path: Path) -> None:
    played.never = True
    status, output, errors = hold(played, tmp_path, "errors", "--wait", "1")
    assert (status, errors) == (1, "error: not within 1 s: the alert is firing\n")
    assert "Repaired." in output
    assert played.fault is None


def test_nothing_is_broken_while_the_alert_fires_already(played: Played, tmp_path: Path) -> None:
    played.always = True
    status, _, errors = hold(played, tmp_path, "errors")
    assert (status, errors.count("\n")) == (2, 1)
    assert "is firing already" in errors
    assert played.fault is None


def test_ctrl_c_ends_the_fault(played: Played, tmp_path: Path) -> None:
    played.never = True
    with start(played, tmp_path, "errors") as process:
        wait_until(lambda: played.fault, seconds=10, why="the fault is set")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)

    assert (process.returncode, errors) == (130, "interrupted; what was broken is repaired\n")
    assert played.fault is None


@pytest.mark.parametrize(
    ("refusal", "options", "words"),
    [
        (404, (), "set DEMO_ENABLED=true"),
        (401, (), "--token-file"),
        (403, (), "API_TOKENS"),
        (500, (), "500"),
        (0, ("--prometheus", "http://127.0.0.1:9"), "http://127.0.0.1:9 does not answer"),
        (0, ("--token-file", "/nowhere"), "/nowhere contains no token"),
        (0, ("--url", "https://127.0.0.1:9"), "--url must be http://HOST:PORT"),
    ],
)
def test_what_a_drill_cannot_use_is_one_line_that_says_why(
    played: Played, tmp_path: Path, refusal: int, options: tuple[str, ...], words: str
) -> None:
    played.refusal = refusal
    status, _, errors = hold(played, tmp_path, "errors", *options)
    assert (status, errors.count("\n")) == (2, 1)
    assert words in errors


MONTH: dict[str, dict[str, float]] = {
    "slo:objective": {"availability": 0.999, "latency": 0.99},
    "slo:total": {"availability": 1_000_000, "latency": 999_000},
    "slo:bad": {"availability": 500, "latency": 19_980},
    "slo:budget_left": {"availability": 0.5, "latency": -1},
    "count_over_time": {"latency": 90},
}


def report(answers: dict[str, dict[str, float]], **labels: str) -> tuple[int, str, str]:
    def answer(asked: Asked) -> tuple[int, Any]:
        (query,) = parse_qs(urlsplit(asked.path).query)["query"]
        found = next((answers[name] for name in answers if name in query.split("[")[0]), {})
        series = [
            {"metric": labels | {"slo": slo}, "value": [0, str(value)]}
            for slo, value in found.items()
        ]
        return 200, {"data": {"result": series}}

    with listening(answer) as prometheus:
        script = ROOT / "scripts" / "slo-report.sh"
        done = run([script, "--prometheus", prometheus.url], env={"PATH": os.environ["PATH"]})
    return done.returncode, done.stdout, done.stderr


def test_a_month_is_a_line_for_each_objective() -> None:
    status, output, _ = report(MONTH)
    header, availability, latency = (line.split() for line in output.splitlines())
    assert status == 0
    assert header == ["objective", "target", "kept", "requests", "bad", "left", "fast"]
    assert availability == ["availability", "99.9%", "99.950%", "1,000,000", "500", "50.0%", "0"]
    assert latency == ["latency", "99.0%", "98.000%", "999,000", "19,980", "-100.0%", "90"]


def test_services_are_told_apart_by_namespace_and_a_month_without_requests_was_good() -> None:
    idle = {"slo:budget_left": {"availability": 1.0}, "slo:total": {"availability": 0.0}}
    _, output, _ = report(idle, namespace="shop")
    name, _target, *numbers = output.splitlines()[1].split()
    assert (name, numbers[:3]) == ("shop/availability", ["100.000%", "0", "0"])


def test_no_data_is_an_error_of_one_line() -> None:
    status, output, errors = report({})
    assert (status, output, errors.count("\n")) == (1, "", 1)
    assert "has no data" in errors
