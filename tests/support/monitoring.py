"""The monitoring files for tests, and the checkers of Prometheus and Alertmanager."""

import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.containers import engine_answers, pull
from tests.support.missing import in_ci
from tests.support.paths import ROOT
from tests.support.processes import output_of, run

MONITORING = ROOT / "monitoring"
RULES = sorted((MONITORING / "prometheus" / "rules").rglob("*.yml"))
# Without those that the chart alone loads.
STACK_RULES = sorted((MONITORING / "prometheus" / "rules").glob("*.yml"))
RULE_TESTS = sorted((MONITORING / "prometheus" / "tests").glob("*.yml"))
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
COMPOSE = ROOT / "infrastructure" / "docker-compose.yml"

# The service whose image has the program.
_IMAGE_OF = {"promtool": "prometheus", "amtool": "alertmanager"}


@functools.cache
def read_yaml(path: Path) -> Any:
    """A file's content; do not change it."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def seconds(duration: str) -> int:
    """Prometheus' notation, such as 1h30m, in seconds."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))


def _groups(paths: Iterable[Path] = RULES) -> list[dict[str, Any]]:
    return [group for path in paths for group in read_yaml(path)["groups"]]


def all_rules(paths: Iterable[Path] = RULES) -> list[dict[str, Any]]:
    return [rule for group in _groups(paths) for rule in group["rules"]]


def recorded_rarely() -> dict[str, int]:
    """Metrics recorded once a minute only, and the seconds between two values."""
    rare = [group for group in _groups() if group.get("interval") == "1m"]
    return {rule["record"]: 60 for group in rare for rule in group["rules"] if "record" in rule}


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in all_rules() if "alert" in rule]


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries() -> list[tuple[str, str]]:
    """Place and expression of every panel's and annotation's query."""
    asked = [
        (f"{name}: {panel['title']}", target["expr"])
        for name, dashboard in dashboards().items()
        for panel in panels(dashboard)
        for target in panel.get("targets", [])
    ]
    return asked + [
        (f"{name}: {annotation['name']}", annotation["expr"])
        for name, dashboard in dashboards().items()
        for annotation in dashboard["annotations"]["list"]
        if "expr" in annotation
    ]


def fill_in(expression: str, seconds: int) -> str:
    """A panel's expression as Grafana sends it with everything chosen."""
    chosen = {
        "$__rate_interval": f"{max(60, seconds // 700 + 15)}s",
        **{"$__range": f"{seconds}s", "$__interval": "60s", "$job": "web"},
        'route="$route"': 'route="/api/v1/items"',
        **dict.fromkeys(("$namespace", "$instance", "$route", "$service", "$project"), ".*"),
    }
    for variable, value in chosen.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression.replace("${1}", ""), expression
    return expression


def headings(markdown: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+\s+(.*)$", markdown.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def run_tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool or amtool in the repository's root.

    Without the program and its image the test is skipped; in CI it fails.
    """
    return run([*_command(name), *arguments])


def evaluate(folder: Path, series: dict[str, str], checks: list[dict[str, Any]]) -> None:
    """Have promtool compare expressions with what these series give, a sample each 15 s."""
    given = [{"series": name, "values": values} for name, values in series.items()]
    case = {"interval": "15s", "input_series": given, "promql_expr_test": checks}
    path = folder / "made.test.yml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [case]}))
    output_of(run_tool("promtool", "test", "rules", path))


@functools.cache
def _command(name: str) -> tuple[str, ...]:
    if shutil.which(name):
        return (name,)
    image = read_yaml(COMPOSE)["services"][_IMAGE_OF[name]]["image"]
    engine = engine_answers()
    if not engine or not pull(image):
        reason = f"NO {name}: install it, or start a container engine that can get {image}"
        if engine and in_ci():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    user = ("--user", f"{os.getuid()}:{os.getgid()}")
    here = ("--volume", f"{ROOT}:{ROOT}:ro", "--volume", "/tmp:/tmp", "--workdir", str(ROOT))
    return (
        *("docker", "run", "--rm", "--network", "none", *user, *here),
        *("--entrypoint", name, image),
    )
