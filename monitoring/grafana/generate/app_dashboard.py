"""Application Overview: requests, errors and latency by route; users, cache and versions."""

# fmt: off
# A panel is a paragraph: title, description, query, settings.

from typing import Any

from monitoring.grafana.generate import common, names as n
from monitoring.grafana.generate.frame import LINES_OF_ROW, LOGS, choice, dashboard
from monitoring.grafana.generate.panels import (
    BLUE, GREEN, IDLE, ORANGE, RED, STATUS_COLORS, Column, cell, column,
    good_above, good_below, heatmap, limit, link, or_zero, series, stat, table)

PICKED = 'instance=~"$instance", route=~"$route"'
OF_ROUTES = f"sum by (route) (instance_route:%s:rate5m{{{PICKED}}})"
COUNTED = f"{n.DURATION}_bucket{{{PICKED}}}"
BUCKETS = f"instance_route_le:{n.DURATION}_bucket:rate5m{{{PICKED}}}"
# When no replica answers, the last hour tells.
WANTED = f"""sum(max by (namespace) ({n.APP_REPLICAS_WANTED}) > 0
or max by (namespace) (last_over_time({n.APP_REPLICAS_WANTED}[1h])) > 0)"""
ANSWER = 'sum(up{job="$job"})'


def build() -> dict[str, Any]:
    return dashboard(
        "ds-overview",
        "Application Overview",
        "Requests, errors and latency by route; error budget, users, cache and versions.",
        {
            "": numbers(),
            "Requests, errors and latency by route": [*by_route(), routes()],
            "All routes together": together(),
            "Users, cache and content": inside(),
            "Versions running": versions(),
        },
        variables=(
            choice("instance", "Instance", n.APP_INFO),
            choice("route", "Route", n.REQUESTS),
        ),
    )


def rate(metric: str, labels: str = PICKED) -> str:
    return f"rate({metric}{{{labels}}}[$__rate_interval])"


def numbers() -> list[Any]:
    return [
        stat("Requests", "Users' requests answered by nginx per second, on all routes.",
             f"sum(rate({common.USERS}[2m]))", "reqps", decimals=1),
        common.errors(),
        common.latency("p95"),
        stat("Budget left",
             "Share of the errors that 99.9 % availability allows in 30 days. Overspent is shown "
             "down to −100 %.",
             'clamp_min(min(slo:budget_left:30d{slo="availability"}), -1)', "percentunit",
             steps=good_above(0, 0.25), decimals=1),
        stat("Active users",
             "Different users of the last five minutes over all instances, estimated within 1 %.",
             f'max({n.USERS_ACTIVE}{{window="5m"}})'),
        stat("Sessions", "Sessions that have not ended, over all instances.",
             f"max({n.SESSIONS_ACTIVE})"),
        common.cache_hits(),
        stat("Replicas",
             "Replicas that do not answer Prometheus, of those wanted (REPLICAS) or, if that is "
             "not set, of those known.",
             f"""clamp_min({WANTED} - ({or_zero(ANSWER, WANTED)}), 0)
             or sum(up{{job="$job"}} == bool 0)""", "suffix: missing", steps=limit(1),
             names={"0": ("all", GREEN)}),
    ]


def by_route() -> list[Any]:
    def lines(title: str, description: str, expr: str, unit: str, **more: Any) -> Any:
        route = "${__field.labels.route}"
        links = [link(f"Log lines of {route}", LOGS + route)]
        return series(title, description, {"{{route}}": expr}, unit, width=12, height=9,
                      legend_right=True, links=links, empty=IDLE, **more)

    return [
        lines("Requests by route",
              "Requests per second. Click a line for the commands that find its log lines.",
              f"sum by (route) ({rate(n.REQUESTS)})", "reqps"),
        lines("Errors by route",
              "Share of a route's requests answered with a 5xx. At the line, 1.44 %, it pages.",
              f"{OF_ROUTES % 'http_errors'} / ({OF_ROUTES % 'http_requests'} > 0)", "percentunit",
              steps=limit(0.0144), at_least=0.02),
        lines("p95 by route",
              "95 % of a route's requests are answered faster. The line is the objective, 250 ms; "
              "dots are traced requests.",
              f"histogram_quantile(0.95, sum by (route, le) ({BUCKETS})) >= 0", "s",
              steps=limit(0.25), at_least=0.3, exemplars=COUNTED),
        heatmap("Latency, all routes",
                "Requests per second by their duration. Two bands mean two kinds of requests.",
                f"sum by (le) ({BUCKETS})", COUNTED, width=12, height=9),
    ]


def routes() -> Any:
    def quantile(share: float) -> Column:
        expr = f"histogram_quantile({share}, sum by (route, le) ({BUCKETS})) >= 0"
        return column(expr, "s", steps=good_below(0.1, 0.25), decimals=1)

    requests = f"{OF_ROUTES % 'http_requests'} > 0"
    slow = f"""clamp_min(1 - {OF_ROUTES % 'http_successes_fast'}
    / ({OF_ROUTES % 'http_successes'} > 0), 0)"""
    errors = f"{OF_ROUTES % 'http_errors'} / ({requests})"
    errors_good, slow_good = good_below(0.001, 0.01), good_below(0.005, 0.01)
    return table("Routes, last five minutes",
                 "Routes with requests, as the service counts them: without what nginx answered "
                 "itself. Click one for the commands that find its log lines.",
                 {"Requests": column(requests, "reqps", decimals=2),
                  "Errors": column(errors, "percentunit", steps=errors_good, decimals=2),
                  "Slower than 250 ms": column(slow, "percentunit", steps=slow_good, decimals=2),
                  "p50": quantile(0.5),
                  "p95": quantile(0.95),
                  "p99": quantile(0.99)},
                 labels={"route": "Route"}, sort="Requests", height=11, empty=IDLE,
                 cells={"Route": cell(260, [LINES_OF_ROW])})


def together() -> list[Any]:
    return [
        series("Answers by status", "Requests per second by the first digit of their status.",
               {"{{status_class}}": f"sum by (status_class) ({rate(f'{n.DURATION}_count')})"},
               "reqps", width=12, stacked=True, colors=STATUS_COLORS),
        series("In flight",
               "Requests in progress, and the threads that can answer them. At the dashed line "
               "requests wait.",
               {"in flight": f'sum({n.IN_PROGRESS}{{instance=~"$instance"}})',
                "threads":
                    f"""sum({n.APP_WORKERS}{{instance=~"$instance"}}
                    * {n.APP_WORKER_THREADS})"""},
               width=12, colors={"threads": RED}, dashed="threads"),
    ]


def inside() -> list[Any]:
    reads = 'instance=~"$instance", operation=~"get|get_or_set"'
    users = {"5 minutes": "5m", "1 hour": "1h", "1 day": "24h"}
    return [
        series("Cache lookups",
               "Lookups per second by result. Errors and bypasses: Redis is unavailable.",
               {"{{result}}": f"sum by (result) ({rate(n.CACHE_REQUESTS, reads)})"}, "reqps",
               stacked=True, colors={"hit": GREEN, "miss": BLUE, "error": RED, "bypass": ORANGE}),
        series("Active users",
               "Different users within 5 minutes, an hour and a day, over all instances.",
               {k: f'max({n.USERS_ACTIVE}{{window="{window}"}})' for k, window in users.items()},
               at_least=5),
        series("Sessions and items", "Open sessions and stored items, over all instances.",
               {"sessions": f"max({n.SESSIONS_ACTIVE})", "items": f"max({n.ITEMS_STORED})"},
               at_least=5),
    ]


def versions() -> list[Any]:
    labels = ("version", "commit", "environment", "python")
    return [
        series("Replicas by version",
               "Two colours at once: a deploy is running. A purple mark: the first replica of a "
               "version.",
               {"{{version}}": f"count by (version) ({n.APP_INFO})", "wanted": WANTED},
               stacked=True, colors={"wanted": RED}, dashed="wanted"),
        table("What runs now",
              "One row for each version. Outside a deploy there should be one row.",
              {"Replicas": column(f"count by ({', '.join(labels)}) ({n.APP_INFO})")},
              labels={label: label.capitalize() for label in labels}, sort="Replicas", width=16),
    ]
