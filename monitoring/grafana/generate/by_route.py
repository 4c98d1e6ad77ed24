"""The rows of Application Overview that tell the routes apart."""

from typing import Any

from panels import heatmap, series, table
from parts import GREEN, RED, column, good_below, link, query

PICKED = 'instance=~"$instance", route=~"$route"'
BUCKETS = f"instance_route_le:http_request_duration_seconds_bucket:rate5m{{{PICKED}}}"
LOGS = link(
    "Its log lines",
    "/d/ds-logs/log-lines?${__url_time_range}&var-route=${__data.fields.Route}",
)
LOGS_OF = link(
    "Log lines of ${__field.labels.route}",
    "/d/ds-logs/log-lines?${__url_time_range}&var-route=${__field.labels.route}",
)


def by_route() -> list[Any]:
    def lines(title: str, description: str, expr: str, unit: str, **more: Any) -> Any:
        made = query(expr, "{{route}}")
        return series(
            title,
            description,
            made,
            unit=unit,
            width=12,
            height=9,
            legend_right=True,
            links=[LOGS_OF],
            **more,
        )

    return [
        lines(
            "Requests by route",
            "Requests per second. Click a line for the commands that find its log lines.",
            f"sum by (route) (rate(http_requests_total{{{PICKED}}}[$__rate_interval]))",
            "reqps",
        ),
        lines(
            "Errors by route",
            "Share of each route's requests answered with a 5xx; the line is where a fast burn "
            "starts to page (1.44 %).",
            f"""sum by (route) (instance_route:http_errors:rate5m{{{PICKED}}})
            / (sum by (route) (instance_route:http_requests:rate5m{{{PICKED}}}) > 0)""",
            "percentunit",
            steps=[(None, GREEN), (0.0144, RED)],
            at_least=0.02,
        ),
        lines(
            "p95 by route",
            "95 % of a route's requests are answered faster; the line is the objective, 250 ms.",
            f"histogram_quantile(0.95, sum by (route, le) ({BUCKETS})) >= 0",
            "s",
            steps=[(None, GREEN), (0.25, RED)],
            at_least=0.3,
        ),
        heatmap(
            "Latency, all routes",
            "How many requests per second took how long. Two bands mean two kinds of requests.",
            f"sum by (le) ({BUCKETS})",
            width=12,
            height=9,
        ),
        routes(),
    ]


def routes() -> Any:
    def quantile(share: float) -> Any:
        expr = f"histogram_quantile({share}, sum by (route, le) ({BUCKETS})) >= 0"
        return query(expr, instant=True), column("s", steps=good_below(0.1, 0.25), decimals=1)

    requests = f"sum by (route) (instance_route:http_requests:rate5m{{{PICKED}}}) > 0"
    errors = f"""sum by (route) (instance_route:http_errors:rate5m{{{PICKED}}}) / ({requests})"""
    fast = f'sum by (route) ({BUCKETS[:-1]}, le="0.25"}})'
    every = f'sum by (route) ({BUCKETS[:-1]}, le="+Inf"}}) > 0'
    return table(
        "Routes, last five minutes",
        "Every route that had requests. Click a route for the commands that find its log lines.",
        {
            "Requests": (query(requests, instant=True), column("reqps", decimals=2)),
            "Errors": (
                query(errors, instant=True),
                column("percentunit", steps=good_below(0.001, 0.01), decimals=2),
            ),
            "Slower than 250 ms": (
                query(f"clamp_min(1 - {fast} / ({every}), 0)", instant=True),
                column("percentunit", steps=good_below(0.005, 0.01), decimals=2),
            ),
            "p50": quantile(0.5),
            "p95": quantile(0.95),
            "p99": quantile(0.99),
        },
        labels={"route": "Route"},
        sort="Requests",
        height=11,
        first_width=260,
        links=[LOGS],
    )
