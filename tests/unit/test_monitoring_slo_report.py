"""scripts/slo-report.sh with a Prometheus that is played; tests/e2e asks a real one."""

import os
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.listener import Asked, listening
from tests.support.paths import ROOT
from tests.support.processes import run

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
