"""Shared by all dashboards: the frame with links, variables and deploy marks."""

import json
from typing import Any

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders.dashboard import CustomVariable, QueryVariable
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as d

from monitoring.grafana.generate import names as n
from monitoring.grafana.generate.bound import bound
from monitoring.grafana.generate.panels import DATASOURCE, link

TAG = "devops-starter"
# The log lines of a route at the dashboard's time.
LOGS = "/d/ds-logs/log-lines?${__url_time_range}&${namespace:queryparam}&var-route="
LINES_OF_ROW = link("Its log lines", LOGS + "${__data.fields.Route}")

# A mark where a version begins. The series has one sample, which lies in exactly one interval.
DEPLOYS = {
    "name": "Deploys",
    "datasource": {"type": "prometheus", "uid": DATASOURCE.uid},
    "enable": True,
    "hide": False,
    "iconColor": "purple",
    "expr": bound("max_over_time(deploy:version:changed[$__interval])"),
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
    made = builders.Dashboard(title).uid(uid).description(description).tags([TAG]).editable()
    made.time(span, "now").refresh("30s").timezone("browser").version(1)
    made.tooltip(d.DashboardCursorSync.CROSSHAIR)
    links = builders.DashboardLink("Dashboards").type(d.DashboardLinkType.DASHBOARDS).tags([TAG])
    made.link(links.include_vars(True).keep_time(True))
    for variable in (namespace(), service(), *variables):
        made.with_variable(variable)
    for name, panels in rows.items():
        if name:
            made.with_row(builders.Row(name))
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
    variable.query({"query": f"label_values({bound(metric)}, {name})", "refId": name})
    variable.refresh(d.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.sort(d.VariableSort.ALPHABETICAL_ASC)


def choice(name: str, label: str, metric: str) -> QueryVariable:
    """A variable with any of a label's values; "All" also matches values that come later."""
    everything = d.VariableOption(text="All", value="$__all")
    variable = one_of(name, label, metric).multi(True).include_all(True)
    return variable.all_value(".*").current(everything)


def namespace() -> QueryVariable:
    """Where the service runs; without namespaces "All" is the only choice."""
    variable = choice("namespace", "Namespace", n.APP_INFO).multi(False)
    query = f"label_values({n.APP_INFO}, namespace)"  # not bound to the variable itself
    return variable.query({"query": query, "refId": "namespace"})


def service() -> CustomVariable:
    """The service's job. A second one whose metrics the rules record too is added here."""
    web = d.VariableOption(text="web", value="web")
    return CustomVariable("job").label("Job").values("web").current(web)
