"""Grafana's files: as generated, complete on every panel, and mounted by the stack."""

import configparser
import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.generate.__main__ import generated
from tests.support import promql
from tests.support.monitoring import COMPOSE, MONITORING, alerts, dashboards, evaluate, fill_in
from tests.support.monitoring import panels, queries, read_yaml

GRAFANA = MONITORING / "grafana"
ALL = dashboards()
DATASOURCES = {one["uid"]: one for one in read_yaml(GRAFANA / "datasources.yml")["datasources"]}
PANELS = [
    (f"{name}: {panel['title']}", panel)
    for name, dashboard in ALL.items()
    for panel in panels(dashboard)
    if panel["type"] != "text"
]
# Getting promtool's image may take a while the first time.
pytestmark = pytest.mark.timeout(600)

NO_DATA, IDLE = None, math.nan
# Ten minutes, a sample each 15 s: half of them good, then only 502, and Redis hangs. A second
# service with the same names is well.
OUTAGE = {
    'up{job="edge"}': "1x40",
    'up{job="web"}': "1x20 0x20",
    'up{job="redis"}': "1x20 0x20",
    'redis_up{job="redis"}': "1x20 stale",
    'probe_success{job="blackbox-http"}': "1x20 0x20",
    'app_replicas_wanted{job="web"}': "2x20 stale",
    'cache_requests_total{job="web", operation="get", result="hit"}': "0+9x20 stale",
    'edge_requests_total{job="edge", traffic="users", status="200"}': "0+15x20 300x20",
    'edge_requests_total{job="edge", traffic="users", status="502"}': "0x20 0+15x20",
    'edge_requests_total{job="edge", traffic="other", status="200"}': "0+90x40",
    **{
        f"edge_upstream_duration_seconds_bucket{{{labels}, le={le}}}": values
        for le in ('"0.25"', '"+Inf"')
        for labels, values in {
            'job="edge", traffic="users", status_class="2xx"': "0+15x20 300x20",
            'job="edge", traffic="users", status_class="5xx"': "0x20 0+15x20",
        }.items()
    },
    'ALERTS{alertname="DeadMansSwitch", severity="none", alertstate="firing"}': "1x40",
    'ALERTS{alertname="ServiceUnreachable", severity="critical", alertstate="firing"}': "_x20 1x20",
    'edge_requests_total{job="second", traffic="users", status="200"}': "0+900x40",
    'cache_requests_total{job="second", operation="get", result="hit"}': "0+900x40",
    'app_replicas_wanted{job="second"}': "9x40",
    'up{job="second"}': "1x40",
}
# Minutes after the beginning: what the numbers say then, and in which colour.
NUMBERS: dict[int, dict[str, tuple[float | None, str]]] = {
    4: {
        "app-dashboard.json: Errors": (0, "green"),
        "app-dashboard.json: Cache hits": (1, "green"),
        "app-dashboard.json: Replicas": (1, "red"),
        "edge.json: No answer": (0, "green"),
        "system.json: Critical": (0, "green"),
        "system.json: Down": (0, "green"),
        "system.json: Redis": (1, "green"),
    },
    9: {
        "app-dashboard.json: Errors": (1, "red"),
        "app-dashboard.json: p95": (IDLE, "#a7adb9"),
        "app-dashboard.json: Budget left": (NO_DATA, "red"),
        "app-dashboard.json: Cache hits": (NO_DATA, "red"),
        "app-dashboard.json: Replicas": (2, "red"),
        "edge.json: Errors": (1, "red"),
        "edge.json: No answer": (1, "red"),
        "edge.json: Upstream": (IDLE, "#a7adb9"),
        "edge.json: Probes": (0, "red"),
        "edge.json: Certificate": (NO_DATA, "red"),
        "slo.json: Availability": (NO_DATA, "red"),
        "system.json: Critical": (1, "red"),
        "system.json: Down": (2, "red"),
        "system.json: Redis": (0, "red"),
        "redis.json: Memory": (NO_DATA, "red"),
    },
}


def test_dashboards_and_the_table_of_metrics_are_as_generated() -> None:
    stale = [path.name for path, text in generated() if path.read_text(encoding="utf-8") != text]
    assert not stale, "run python -m monitoring.grafana.generate"


@pytest.mark.parametrize("name", ALL)
def test_a_dashboard_fits_grafanas_schema_and_its_panels_do_not_overlap(name: str) -> None:
    """The SDK's classes are made from that schema: they drop what it does not have."""
    dashboard = {key: value for key, value in ALL[name].items() if key != "annotations"}
    known = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
    known.pop("annotations", None)
    assert known == dashboard

    has = {variable["name"] for variable in dashboard["templating"].get("list", [])}
    assert set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(dashboard["panels"]))) <= has

    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        columns, rows = range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
        covered = set(itertools.product(columns, rows))
        assert max(columns) < 24 and not covered & cells, panel["title"]
        cells |= covered


@pytest.mark.parametrize(("place", "panel"), PANELS, ids=[place for place, _ in PANELS])
def test_a_panel_explains_itself_and_never_says_no_data(
    place: str, panel: dict[str, dict[str, dict[str, str]]]
) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["title"] and panel["description"] and panel["targets"], place
    assert defaults["unit"] and defaults["noValue"]
    assert panel["datasource"]["uid"] in DATASOURCES


def test_every_query_is_bound_to_one_service_and_its_namespace() -> None:
    unbound = [
        f"{place}: {metric}"
        for place, text in queries()
        for metric, labels in promql.parse(text).selectors
        if not _must_name(metric) <= labels
    ]

    assert not unbound


def _must_name(metric: str) -> set[str]:
    if metric in {"rollout_info", "analysis_run_info", "argocd_app_info"}:
        return set()  # of controllers elsewhere; their rows are those of the service's namespaces
    if re.match("(node|prometheus|alertmanager)_", metric):
        return {"job"}
    if re.match("ALERTS|scrape_|up$|.*:", metric):
        return {"namespace"} - ({"namespace"} if metric == "slo:objective" else set())
    return {"job", "namespace"}


@pytest.mark.slow
def test_without_data_no_query_makes_up_a_value(tmp_path: Path) -> None:
    _evaluate(tmp_path, {}, [(0, fill_in(text, 900), NO_DATA) for _place, text in queries()])


@pytest.mark.slow
def test_numbers_say_what_users_get_and_without_data_are_not_green(tmp_path: Path) -> None:
    shown = {place: panel for place, panel in PANELS if panel["type"] == "stat"}
    asked = [
        (minutes, fill_in(shown[place]["targets"][0]["expr"], 900), value)
        for minutes, numbers in NUMBERS.items()
        for place, (value, _color) in numbers.items()
    ]

    _evaluate(tmp_path, OUTAGE, asked)
    for numbers in NUMBERS.values():
        for place, (value, color) in numbers.items():
            assert _color(shown[place], value) == color, place


def _evaluate(
    folder: Path, series: dict[str, str], asked: list[tuple[int, str, float | None]]
) -> None:
    """Have promtool compare each expression with its value after so many minutes."""
    checks: list[dict[str, Any]] = []
    for minutes, expr, value in asked:
        samples = [{"labels": "{}", "value": 1}]
        if value is None:
            samples = []
        elif math.isnan(value):  # which differs from itself
            expr = f"({expr}) != bool ({expr})"
        else:
            expr = f"({expr}) == bool {value}"
        checks.append({"expr": expr, "eval_time": f"{minutes}m", "exp_samples": samples})
    evaluate(folder, series, checks)


def _color(panel: dict[str, Any], value: float | None) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    key = "null" if value is None else str(value)
    for mapping in defaults["mappings"]:
        options = mapping["options"]
        if mapping["type"] == "special" and options["match"] == key:
            return str(options["result"]["color"])
        if mapping["type"] == "value" and key in options:
            return str(options[key]["color"])
    assert value is not None
    steps = [step for step in defaults["thresholds"]["steps"] if value >= (step["value"] or 0)]
    return str(steps[-1]["color"])


def test_a_number_is_the_value_at_the_end_whatever_the_time_range() -> None:
    for place, panel in PANELS:
        if panel["type"] == "stat":
            (target,) = panel["targets"]
            assert target["instant"] and "$__" not in target["expr"], place
            assert panel["options"]["reduceOptions"]["calcs"] == ["last"], place


def test_a_burn_rates_bar_turns_red_where_it_pages() -> None:
    pages = " ".join(one["expr"] for one in alerts() if one["alert"] == "ErrorBudgetBurnsFast")
    limits: dict[str, set[float]] = {}
    for window, value in re.findall(r"slo:burn_rate:(\w+) > ([\d.]+)", pages):
        limits.setdefault(window, set()).add(float(value))
    bars = dict(PANELS)["slo.json: Availability: burn rate by window"]

    red = {
        override["matcher"]["options"].partition(",")[0]: step["value"]
        for override in bars["fieldConfig"]["overrides"]
        for step in override["properties"][0]["value"]["steps"]
        if step["color"] == "red"
    }

    assert red == {window: min(values) for window, values in limits.items()}


def test_critical_alerts_come_first() -> None:
    table = dict(PANELS)["system.json: Alerts now"]
    severities = {one["labels"]["severity"] for one in alerts()}
    assert table["options"]["sortBy"] == [{"displayName": "Severity", "desc": False}]
    assert min(severities) == "critical"


def test_no_column_of_a_table_is_off_screen_at_1280_pixels() -> None:
    for place, panel in PANELS:
        if panel["type"] == "table":
            (names,) = (one["options"] for one in panel["transformations"][1:])
            set_to = {
                override["matcher"]["options"]: one["value"]
                for override in panel["fieldConfig"]["overrides"]
                for one in override["properties"]
                if one["id"] == "custom.width"
            }
            shown = [names["renameByName"][name] for name in names["indexByName"]]
            total = sum(set_to.get(heading, 150) for heading in shown)  # Grafana's least is 150
            assert total <= 1240 * panel["gridPos"]["w"] / 24 - 20, place


def test_every_link_leads_to_a_dashboard_that_exists() -> None:
    known = {dashboard["uid"] for dashboard in ALL.values()}
    # The alerts' link ends with a value of the column that the query makes.
    ends = re.findall(r'"dashboard\\", \\"(\w+)', json.dumps(ALL)) + ["edge", "redis"]
    text = "".join(json.dumps(ALL).replace("/d/ds-${__value.raw}", f"/d/ds-{end}") for end in ends)
    assert set(re.findall(r"/d/([\w-]+)", text)) <= known


def test_grafana_requires_a_password_contacts_no_other_server_and_keeps_its_plugin() -> None:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(GRAFANA / "grafana.ini")

    password = settings["security"]["admin_password"]
    assert re.fullmatch(r"\$__file\{/run/secrets/\w+\}", password)
    assert not settings.getboolean("auth.anonymous", "enabled")
    assert not settings.getboolean("users", "allow_sign_up")
    for check in ("reporting_enabled", "check_for_updates", "check_for_plugin_updates"):
        assert not settings.getboolean("analytics", check)
    # An update at the start would remove the Prometheus data source: the image is read-only.
    assert settings.getboolean("plugins", "preinstall_disabled")
    assert "prometheus" not in settings["plugins"]["disable_plugins"]
    # The stack mounts the dashboards where the provider looks.
    (provider,) = read_yaml(GRAFANA / "dashboards.yml")["providers"]
    mounts = read_yaml(COMPOSE)["services"]["grafana"]["volumes"]
    assert f"../monitoring/grafana/dashboards:{provider['options']['path']}:ro" in mounts


def test_dots_on_latency_panels_are_of_series_that_have_exemplars() -> None:
    """Recorded series have none."""
    dots = {
        place: target["expr"]
        for place, panel in PANELS
        for target in panel["targets"]
        if target.get("exemplar")
    }
    assert dots.keys() == {
        "app-dashboard.json: p95 by route",
        "app-dashboard.json: Latency, all routes",
    }
    assert all(expr.startswith("http_request_duration_seconds_bucket{") for expr in dots.values())
