"""Monitoring of a running stack: every panel and rule has data, and no alert fires wrongly."""

import math
import os
import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from monitoring.grafana.generate.names import DURATION, described
from tests.e2e.day_of_data import DAY, prometheus_with_a_day, slowest
from tests.e2e.load import MixedLoad
from tests.e2e.watched import Watched
from tests.support import promql
from tests.support.monitoring import (
    COMPOSE,
    STACK_RULES,
    all_rules,
    dashboards,
    fill_in,
    panels,
    queries,
    read_yaml,
    recorded_rarely,
)
from tests.support.paths import ROOT
from tests.support.processes import run, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# Alerts about the machine that runs the tests, not about the stack.
ABOUT_THE_MACHINE = {"DiskAlmostFull", "DiskFillsWithinADay", "HostMemoryLow", "HostCpuBusy"}
ABOUT_THE_MACHINE |= {"ContainerCpuThrottled", "ContainerMemoryNearLimit"}
ABOUT_THE_MACHINE |= {"ClockWrong", "DiskSaturated", "InodesAlmostUsed", "OutOfMemoryKill"}
# No version has failed.
FAILED = {"deploy:version:failed_timestamp_seconds", "deploy:version:failed_seconds"}
# Absent most of the time: alerts with their labels, Redis' last stall, what is recorded once in a
# deploy; and on Compose what Argo Rollouts and Argo CD export.
SOMETIMES = {"ALERTS", "redis_latency_spike_duration_seconds", "deploy:version:changed", *FAILED}
SOMETIMES |= {"deploy:version:begun_timestamp_seconds", "deploy:version:lead_seconds"}
SOMETIMES |= {"rollout_info", "analysis_run_info", "argocd_app_info"}
LATENCY = "operation_le:cache_operation_duration_seconds_bucket:rate5m"
# A program that draws a dashboard without Grafana: DASHBOARD --prometheus URL --out FOLDER …
PREVIEW = os.environ.get("GRAFANA_PREVIEW")


def test_an_idle_stack_fires_nothing_but_the_dead_mans_switch(watched: Watched) -> None:
    started = time.time()

    def evaluated_often_enough() -> bool:
        groups = watched.ask("rules")["groups"]
        oldest = min(group["lastEvaluation"] for group in groups)
        return bool(_seconds(oldest) > started + 60)

    wait_until(evaluated_often_enough, seconds=180, interval=2, why="every rule has been evaluated")
    assert watched.alerts("firing") - ABOUT_THE_MACHINE == {"DeadMansSwitch"}
    assert not watched.alerts("pending") - ABOUT_THE_MACHINE


@pytest.fixture(scope="module")
def busy(watched: Watched) -> Iterator[Watched]:
    """The stack under a steady, mixed load that has lasted long enough for every rule."""
    with MixedLoad(watched.stack, rate=20):
        stranger = requests.get(f"{watched.stack.http}/nothing/here", timeout=5)
        assert stranger.status_code == 404
        session = requests.put(
            f"{watched.stack.http}/api/v1/session",
            json={"user": "ada", "data": {}},
            headers={"Authorization": f"Bearer {watched.stack.token}"},
            timeout=5,
        )
        assert session.ok, session.text
        # Three evaluations of the groups with an interval of a minute.
        wait_until(
            lambda: watched.value(f"max(count_over_time({LATENCY}[10m]))")
            and watched.value("max(count_over_time(cache:hit_ratio:rate5m[10m]))") > 8,
            seconds=240,
            interval=2,
            why="the load shows in what the rules record",
        )
        yield watched


def test_every_metric_and_label_that_is_named_is_exported(busy: Watched) -> None:
    exported = busy.exported()
    exported |= {name.removesuffix("_bucket"): labels for name, labels in exported.items()}
    named = [("app/utils/metrics.py", name, frozenset[str]()) for name, *_ in described()]
    for place, text in [
        *queries(),
        *((_name(rule), rule["expr"]) for rule in all_rules(STACK_RULES)),
    ]:
        named += [(place, metric, labels) for metric, labels in promql.parse(text).selectors]

    wrong = [
        f"{place}: {metric} {sorted(labels)}"
        for place, metric, labels in named
        if metric not in SOMETIMES
        if metric not in exported or labels - exported[metric] - {"namespace", "pod"}
    ]
    assert not wrong


def _name(rule: dict[str, Any]) -> str:
    return str(rule.get("record") or rule.get("alert"))


def test_every_recording_rule_gives_a_value(busy: Watched) -> None:
    recorded = {rule["record"] for rule in all_rules(STACK_RULES) if "record" in rule} - FAILED

    # A deploy's mark has a single sample.
    assert not [name for name in recorded if not busy.query(f"last_over_time({name}[1h])")]


def test_the_first_version_has_one_mark(busy: Watched) -> None:
    marks = busy.query("count_over_time(deploy:version:changed[1h])")

    assert [mark["value"][1] for mark in marks] == ["1"]


def test_prometheus_has_the_traces_of_counted_requests(busy: Watched) -> None:
    counted = f'{DURATION}_bucket{{job="web"}}'
    found = busy.ask("query_exemplars", query=counted, start=time.time() - 300, end=time.time())

    traces = [each["labels"]["trace_id"] for series in found for each in series["exemplars"]]
    assert traces
    assert all(re.fullmatch("[0-9a-f]{32}", trace) for trace in traces)


def test_the_report_of_the_month_has_both_objectives(busy: Watched) -> None:
    script = ROOT / "scripts" / "slo-report.sh"
    done = run([script, "--prometheus", busy.stack.prometheus])

    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[:2] for line in lines[1:]] == [["availability", "99.9%"], ["latency", "99.0%"]]
    assert all(int(line[3].replace(",", "")) > 0 for line in lines[1:]), done.stdout


def test_no_rule_fails_or_takes_long(busy: Watched) -> None:
    for group in busy.ask("rules")["groups"]:
        for rule in group["rules"]:
            assert rule["health"] == "ok", f"{rule['name']}: {rule.get('lastError')}"
        assert group["evaluationTime"] < group["interval"] / 3


@pytest.mark.parametrize("name", dashboards())
def test_every_panel_query_returns_data(busy: Watched, name: str) -> None:
    def empty() -> list[str]:
        asked = ((panel["title"], target) for panel, target in _targets(name))
        return [f"{title}: {one['expr']}" for title, one in asked if not _has_data(busy, one)]

    wait_until(lambda: not empty(), seconds=60, interval=5, why=f"data for {empty()}")


def _targets(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each query of a dashboard, with its panel."""
    found = panels(dashboards()[name])
    return [(panel, target) for panel in found for target in panel.get("targets", [])]


def _has_data(watched: Watched, target: dict[str, Any]) -> bool:
    """Whether it returns more than NaN."""
    if target.get("exemplar"):
        return True  # it is for dots alone, which there are with traces
    expression, now = fill_in(target["expr"], seconds=900), time.time()
    if target.get("instant"):
        samples = [one["value"] for one in watched.query(expression)]
    else:
        found = watched.ask("query_range", query=expression, start=now - 300, end=now, step=15)
        samples = [value for one in found["result"] for value in one["values"]]
    return any(not math.isnan(float(value)) for _time, value in samples)


@pytest.mark.parametrize("name", dashboards())
def test_no_panel_is_empty_when_drawn(busy: Watched, name: str, tmp_path: Path) -> None:
    if not PREVIEW:
        pytest.skip("NOTHING TO DRAW WITH: set GRAFANA_PREVIEW to a program that draws dashboards")
    dashboard = ROOT / "monitoring" / "grafana" / "dashboards" / name
    options = ["--prometheus", busy.stack.prometheus, "--out", str(tmp_path), "--theme", "light"]

    for _ in range(3):
        done = run(
            [PREVIEW, dashboard, *options, "--from", "now-15m", "--timeout", "120"], seconds=300
        )
        # A browser's requests fail when a network interface comes or goes, as it does with every
        # container that starts or ends on this machine.
        if "Failed to fetch" not in done.stdout:
            break

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_request_is_counted_at_the_edge(busy: Watched) -> None:
    counter = 'sum(edge_requests_total{status="405"})'
    before = busy.value(counter)
    for _ in range(50):
        requests.request("DELETE", f"{busy.stack.http}/api/v1/info", timeout=5)

    wait_until(
        lambda: busy.value(counter) == before + 50,
        seconds=30,
        interval=1,
        why="fifty more answers of 405",
    )


def test_each_panel_query_takes_under_100_ms_on_a_day_of_data(busy: Watched) -> None:
    asked = {name for _place, text in queries() for name in promql.parse(text).metrics}
    series = [one for one in busy.series() if one["__name__"] in asked - {"ALERTS"}]
    image = read_yaml(COMPOSE)["services"]["prometheus"]["image"]
    filled_in = [
        (f"{name}: {panel['title']}", fill_in(target["expr"], DAY), bool(target.get("instant")))
        for name in dashboards()
        for panel, target in _targets(name)
    ]

    with prometheus_with_a_day(image, series, recorded_rarely()) as prometheus:
        times = slowest(prometheus, filled_in, limit=100)

    print(f"{len(series)} series; the slowest: {times[:5]}")
    assert not [place for milliseconds, place in times if milliseconds >= 100]


def test_a_good_day_fires_nothing_but_the_dead_mans_switch(busy: Watched) -> None:
    assert busy.alerts("firing") - ABOUT_THE_MACHINE == {"DeadMansSwitch"}


def test_grafana_has_the_dashboards_and_reaches_prometheus(busy: Watched) -> None:
    if "grafana" not in busy.stack.services:
        pytest.skip("NO IMAGE OF GRAFANA HERE: its provisioning has not been tried")
    base = f"http://127.0.0.1:{busy.stack.settings['GRAFANA_PORT']}/api"
    login = ("admin", busy.stack.secret("grafana_admin_password"))

    assert requests.get(f"{base}/search", timeout=10).status_code == 401
    found = requests.get(f"{base}/search?type=dash-db", auth=login, timeout=10).json()
    health = requests.get(f"{base}/datasources/uid/prometheus/health", auth=login, timeout=10)

    assert {one["title"] for one in found} == {one["title"] for one in dashboards().values()}
    assert health.json()["status"] == "OK"


def _seconds(timestamp: str) -> float:
    """RFC 3339 as Go writes it, with nanoseconds, to seconds since the epoch."""
    text = re.sub(r"\.(\d{6})\d*", r".\1", timestamp).replace("Z", "+00:00")
    return datetime.fromisoformat(text).timestamp()


def test_every_job_of_prometheus_answers(watched: Watched) -> None:
    config = read_yaml(ROOT / "monitoring" / "prometheus" / "prometheus.yml")
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    # An overlay's; and an image that is missing here.
    jobs -= {"collector", "grafana"} - set(watched.stack.services)

    answering = {one["metric"]["job"] for one in watched.query("up == 1")}

    assert jobs == answering
