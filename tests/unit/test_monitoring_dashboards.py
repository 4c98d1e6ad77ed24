"""Grafana's files: as generated, complete on every panel, and what the stack mounts."""

import configparser
import json
import re
import subprocess
import sys

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.support.monitoring import COMPOSE, MONITORING, ROOT, dashboards, panels, read_yaml

GRAFANA = MONITORING / "grafana"
ALL = dashboards()
DATASOURCES = {one["uid"]: one for one in read_yaml(GRAFANA / "datasources.yml")["datasources"]}
PANELS = [
    (f"{name}: {panel['title']}", panel)
    for name, dashboard in ALL.items()
    for panel in panels(dashboard)
    if panel["type"] != "text"
]


def test_dashboards_and_the_table_of_metrics_are_as_generated() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "monitoring.grafana.generate", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_the_promised_dashboards_are_there() -> None:
    titles = {dashboard["title"] for dashboard in ALL.values()}

    assert ALL["app-dashboard.json"]["title"] == "Application Overview"
    assert {"System Health", "Redis Performance", "Edge", "SLO"} <= titles


@pytest.mark.parametrize("name", ALL)
class TestEveryDashboard:
    def test_fits_grafanas_published_schema(self, name: str) -> None:
        """The SDK's classes are made from that schema: what it does not know would be lost."""
        dashboard = {key: value for key, value in ALL[name].items() if key != "annotations"}

        known = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
        known.pop("annotations", None)

        assert known == dashboard

    def test_links_to_all_the_others_and_keeps_time_and_variables(self, name: str) -> None:
        (link,) = ALL[name]["links"]

        assert (link["type"], link["includeVars"], link["keepTime"]) == ("dashboards", True, True)
        assert set(link["tags"]) <= set(ALL[name]["tags"])

    def test_marks_deploys(self, name: str) -> None:
        assert "app_info" in ALL[name]["annotations"]["list"][0]["expr"]

    def test_uses_only_variables_that_it_has(self, name: str) -> None:
        has = {variable["name"] for variable in ALL[name]["templating"].get("list", [])}
        text = json.dumps(ALL[name]["panels"])
        used = set(re.findall(r"\$\{?([a-z]\w*)", text)) - {"1xx"}

        assert used <= has

    def test_has_panels_that_do_not_overlap_and_have_numbers_of_their_own(self, name: str) -> None:
        cells: set[tuple[int, int]] = set()
        for panel in ALL[name]["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            covered = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not covered & cells, panel["title"]
            cells |= covered
        numbers = [panel["id"] for panel in ALL[name]["panels"]]
        assert len(numbers) == len(set(numbers))


def test_every_panel_explains_itself_and_never_says_no_data() -> None:
    wanting = [
        place
        for place, panel in PANELS
        if not panel["title"]
        or not panel["description"].endswith(".")
        or not panel["fieldConfig"]["defaults"]["unit"]
        or not panel["fieldConfig"]["defaults"]["noValue"]
    ]

    assert not wanting


def test_every_panel_asks_the_provisioned_datasource() -> None:
    assert all(panel["targets"] for _, panel in PANELS)
    assert {panel["datasource"]["uid"] for _, panel in PANELS} <= set(DATASOURCES)


def test_every_link_leads_to_a_dashboard_that_exists() -> None:
    known = {dashboard["uid"] for dashboard in ALL.values()}

    assert set(re.findall(r"/d/([\w-]+)", json.dumps(ALL))) <= known


def test_a_click_on_a_route_leads_to_its_log_lines() -> None:
    linking = [
        panel["title"]
        for panel in panels(ALL["app-dashboard.json"])
        if "/d/ds-logs/" in json.dumps(panel) and "var-route=" in json.dumps(panel)
    ]

    assert {"Requests by route", "Errors by route", "Routes, last five minutes"} <= set(linking)


def test_numbers_that_have_a_limit_change_colour_at_it() -> None:
    for title in ("Errors", "p95", "Budget left", "Cache hits"):
        (panel,) = (one for one in panels(ALL["app-dashboard.json"]) if one["title"] == title)
        assert len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) == 3


def test_grafana_lets_nobody_in_without_a_password_and_calls_nobody() -> None:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(GRAFANA / "grafana.ini")

    password = settings["security"]["admin_password"]
    assert re.fullmatch(r"\$__file\{/run/secrets/\w+\}", password)
    assert not settings.getboolean("auth.anonymous", "enabled")
    assert not settings.getboolean("users", "allow_sign_up")
    assert not settings.getboolean("analytics", "reporting_enabled")
    assert not settings.getboolean("analytics", "check_for_updates")
    assert not settings.getboolean("analytics", "check_for_plugin_updates")


def test_grafana_keeps_the_plugin_of_its_image() -> None:
    """Its start-up update would remove the Prometheus data source on a read-only file system."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(GRAFANA / "grafana.ini")

    assert settings.getboolean("plugins", "preinstall_disabled")
    assert "prometheus" not in settings["plugins"]["disable_plugins"]


def test_the_stack_mounts_the_dashboards_where_the_provider_looks() -> None:
    (provider,) = read_yaml(GRAFANA / "dashboards.yml")["providers"]
    mounts = read_yaml(COMPOSE)["services"]["grafana"]["volumes"]

    assert f"../monitoring/grafana/dashboards:{provider['options']['path']}:ro" in mounts


def test_the_smallest_step_is_the_scrape_interval() -> None:
    scraped = read_yaml(MONITORING / "prometheus" / "prometheus.yml")["global"]["scrape_interval"]

    assert DATASOURCES["prometheus"]["jsonData"]["timeInterval"] == scraped
