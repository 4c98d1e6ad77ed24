"""Shared by all dashboards: the frame with links, variables and deploy marks; common numbers."""

import json
from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, QueryVariable, Row
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as d

from monitoring.grafana.generate import names as n
from monitoring.grafana.generate.panels import DATASOURCE, GREEN, RED, good_above, stat

TAG = "devops-starter"

# A mark where a version is seen first. Evaluated once a minute, so a deploy gives one mark.
DEPLOYS = {
    "name": "Deploys",
    "datasource": {"type": "prometheus", "uid": DATASOURCE.uid},
    "enable": True,
    "hide": False,
    "iconColor": "purple",
    "expr": (
        f"count by (version, commit) ({n.APP_INFO})"
        f" unless on (version, commit) count by (version, commit) ({n.APP_INFO} offset 1m)"
    ),
    "step": "60s",
    "titleFormat": "{{version}} deployed",
    "textFormat": "commit {{commit}}",
}
# Written by the deploy workflow through Grafana's API.
REPORTED = {
    "name": "Reported deploys",
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": False,
    "iconColor": "blue",
    "target": {"type": "tags", "tags": ["deploy"], "matchAny": True, "limit": 100},
}


def dashboard(  # pylint: disable=too-many-arguments
    uid: str,
    title: str,
    description: str,
    rows: dict[str, list[Any]],
    *,
    variables: tuple[QueryVariable, ...] = (),
    span: str = "now-1h",
) -> dict[str, Any]:
    """A dashboard as the JSON that Grafana reads. A row with an empty name has no heading."""
    made = Dashboard(title).uid(uid).description(description).tags([TAG]).editable()
    made.time(span, "now").refresh("30s").timezone("browser").version(1)
    made.tooltip(d.DashboardCursorSync.CROSSHAIR)
    links = DashboardLink("Dashboards").type(d.DashboardLinkType.DASHBOARDS).tags([TAG])
    made.link(links.include_vars(True).keep_time(True))
    for variable in variables:
        made.with_variable(variable)
    for name, panels in rows.items():
        if name:
            made.with_row(Row(name))
        for panel in panels:
            made.with_panel(panel)
    content: dict[str, Any] = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    content["annotations"] = {"list": [DEPLOYS, REPORTED]}  # queries, which the SDK cannot express
    for number, panel in enumerate(content["panels"], start=1):
        panel["id"] = number
    return content


def one_of(name: str, label: str, metric: str) -> QueryVariable:
    """A variable with one of a label's values."""
    variable = QueryVariable(name).label(label).datasource(DATASOURCE)
    variable.query({"query": f"label_values({metric}, {name})", "refId": name})
    variable.refresh(d.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.sort(d.VariableSort.ALPHABETICAL_ASC)


def choice(name: str, label: str, metric: str) -> QueryVariable:
    """A variable with any of a label's values; "All" also matches values that come later."""
    everything = d.VariableOption(text="All", value="$__all")
    variable = one_of(name, label, metric).multi(True).include_all(True)
    return variable.all_value(".*").current(everything)


# fmt: off
# As in the dashboards, a panel is a paragraph.


def probes() -> Any:
    return stat("Probes", "/health through nginx, over HTTP and TLS: the worse of the two.",
                "min(probe_success)",
                names={"1": ("passing", GREEN), "0": ("failing", RED)}, line=False)


def certificate() -> Any:
    return stat("Certificate", "Days until the first certificate in nginx's chain ends.",
                "(min(probe_ssl_earliest_cert_expiry) - time()) / 86400", "suffix: days",
                steps=good_above(7, 14), decimals=0, line=False)


def cache_hits() -> Any:
    return stat("Cache hits",
                "Share of hits among the service's cache lookups of the last five minutes.",
                "cache:hit_ratio:rate5m", "percentunit",
                steps=good_above(0.5, 0.8), empty="idle", decimals=0)


def redis_answers() -> Any:
    return stat("Redis", "Whether Redis answers its exporter.", "min(redis_up)",
                names={"1": ("up", GREEN), "0": ("down", RED)}, line=False)
