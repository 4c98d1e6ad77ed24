"""Grafana's files: as generated, complete on every panel, and mounted by the stack."""

import configparser
import itertools
import json
import re

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.generate.__main__ import generated
from tests.support.monitoring import COMPOSE, MONITORING, dashboards, panels, read_yaml

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
    stale = [path.name for path, text in generated() if path.read_text(encoding="utf-8") != text]

    assert not stale, "run python -m monitoring.grafana.generate"


@pytest.mark.parametrize("name", ALL)
class TestEveryDashboard:
    def test_fits_grafanas_published_schema(self, name: str) -> None:
        """The SDK's classes are made from that schema: they drop what it does not have."""
        dashboard = {key: value for key, value in ALL[name].items() if key != "annotations"}

        known = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
        known.pop("annotations", None)

        assert known == dashboard

    def test_uses_only_variables_that_it_has(self, name: str) -> None:
        has = {variable["name"] for variable in ALL[name]["templating"].get("list", [])}
        used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(ALL[name]["panels"])))

        assert used <= has

    def test_has_panels_that_do_not_overlap(self, name: str) -> None:
        cells: set[tuple[int, int]] = set()
        for panel in ALL[name]["panels"]:
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


def test_every_link_leads_to_a_dashboard_that_exists() -> None:
    known = {dashboard["uid"] for dashboard in ALL.values()}

    assert set(re.findall(r"/d/([\w-]+)", json.dumps(ALL))) <= known


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


def test_the_stack_mounts_the_dashboards_where_the_provider_looks() -> None:
    (provider,) = read_yaml(GRAFANA / "dashboards.yml")["providers"]
    mounts = read_yaml(COMPOSE)["services"]["grafana"]["volumes"]

    assert f"../monitoring/grafana/dashboards:{provider['options']['path']}:ro" in mounts
