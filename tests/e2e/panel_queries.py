"""The panels' queries, asked of a running Prometheus as Grafana would."""

import math
import time
from typing import Any

from tests.e2e.watched import Watched
from tests.support.monitoring import dashboards, panels


def empty_queries(watched: Watched, name: str) -> list[str]:
    """The queries of a dashboard that return nothing but NaN."""
    return [
        f"{panel['title']}: {target['expr']}"
        for panel in panels(dashboards()[name])
        for target in panel.get("targets", [])
        if not _has_data(watched, target)
    ]


def _has_data(watched: Watched, target: dict[str, Any]) -> bool:
    expression = fill_in(target["expr"], seconds=900)
    now = time.time()
    if target.get("instant"):
        samples = [one["value"] for one in watched.query(expression)]
    else:
        result = watched.ask("query_range", query=expression, start=now - 300, end=now, step=15)[
            "result"
        ]
        samples = [value for one in result for value in one["values"]]
    return any(not math.isnan(float(value)) for _time, value in samples)


def fill_in(expression: str, seconds: int) -> str:
    """A panel's expression as Grafana sends it with everything chosen."""
    for variable, value in {
        "$__rate_interval": f"{max(60, seconds // 700 + 15)}s",
        "$__range": f"{seconds}s",
        'route="$route"': 'route="/api/v1/items"',
        "$instance": ".*",
        "$route": ".*",
        "$service": ".*",
        "$project": ".*",
    }.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression.replace("${1}", ""), expression
    return expression
