"""What all dashboards share: links to each other, variables, deploy marks, and their JSON."""

# As in panels.py.
# pylint: disable=too-many-arguments

import json
from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, QueryVariable, Row
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as d

from parts import DATASOURCE

TAG = "devops-starter"

# A mark where a version is seen first. Asked once a minute, so a deploy gives one mark.
DEPLOYS = {
    "name": "Deploys",
    "datasource": {"type": "prometheus", "uid": DATASOURCE.uid},
    "enable": True,
    "hide": False,
    "iconColor": "purple",
    "expr": (
        "count by (version, commit) (app_info)"
        " unless on (version, commit) count by (version, commit) (app_info offset 1m)"
    ),
    "step": "60s",
    "titleFormat": "{{version}} deployed",
    "textFormat": "commit {{commit}}",
}
# What the deploy workflow writes through Grafana's own API.
REPORTED = {
    "name": "Reported deploys",
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": False,
    "iconColor": "blue",
    "target": {"type": "tags", "tags": ["deploy"], "matchAny": True, "limit": 100},
}


def dashboard(
    uid: str,
    title: str,
    description: str,
    rows: dict[str, list[Any]],
    *,
    variables: tuple[QueryVariable, ...] = (),
    span: str = "now-1h",
) -> dict[str, Any]:
    """A dashboard as the JSON that Grafana reads. A row with an empty name gets no heading."""
    made = Dashboard(title).uid(uid).description(description).tags([TAG]).editable()
    made.time(span, "now").refresh("30s").timezone("browser").version(1)
    made.tooltip(d.DashboardCursorSync.CROSSHAIR)
    made.link(
        DashboardLink("Dashboards")
        .type(d.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )
    for variable in variables:
        made.with_variable(variable)
    for name, panels in rows.items():
        if name:
            made.with_row(Row(name))
        for panel in panels:
            made.with_panel(panel)
    return _finish(json.loads(json.dumps(made.build(), cls=JSONEncoder)))


def one_of(name: str, label: str, metric: str) -> QueryVariable:
    """A variable with one of a label's values."""
    return (
        QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": f"label_values({metric}, {name})", "refId": name})
        .refresh(d.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(d.VariableSort.ALPHABETICAL_ASC)
    )


def choice(name: str, label: str, metric: str) -> QueryVariable:
    """A variable with any of a label's values; "All" matches everything, also what comes later."""
    return (
        one_of(name, label, metric)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(d.VariableOption(text="All", value="$__all"))
    )


def _finish(made: dict[str, Any]) -> dict[str, Any]:
    """Number the panels, and add what the SDK has no words for."""
    made["annotations"] = {"list": [DEPLOYS, REPORTED]}
    for number, panel in enumerate(made["panels"], start=1):
        panel["id"] = number
    return made
