"""Application Overview: is the service well, for whom not, and since when."""

from typing import Any

from by_route import BUCKETS, PICKED, by_route
from frame import choice, dashboard
from panels import series, stat, table
from parts import BLUE, GREEN, ORANGE, RED, YELLOW, column, good_above, good_below, query
from shared import cache_hits


def overview() -> dict[str, Any]:
    return dashboard(
        "ds-overview",
        "Application Overview",
        "Requests, errors and latency by route; budget, users, cache and versions.",
        {
            "": numbers(),
            "Requests, errors and latency by route": by_route(),
            "All routes together": together(),
            "Users, cache and content": inside(),
            "Versions running": versions(),
        },
        variables=(
            choice("instance", "Instance", "app_info"),
            choice("route", "Route", "http_requests_total"),
        ),
    )


def numbers() -> list[Any]:
    return [
        stat(
            "Requests",
            "Requests answered per second, health checks included.",
            f"sum(rate(http_requests_total{{{PICKED}}}[$__rate_interval])) or vector(0)",
            unit="reqps",
            decimals=1,
        ),
        stat(
            "Errors",
            "Share of requests answered with a 5xx. The objective allows 0.1 % over 30 days.",
            f"""sum(rate(http_requests_total{{{PICKED}, status=~"5.."}}[$__rate_interval]))
            / (sum(rate(http_requests_total{{{PICKED}}}[$__rate_interval])) > 0) or vector(0)""",
            unit="percentunit",
            steps=good_below(0.001, 0.01),
            decimals=2,
        ),
        stat(
            "p95",
            "Latency: 95 % of the requests of the last five minutes were answered faster.",
            f"histogram_quantile(0.95, sum by (le) ({BUCKETS}))",
            unit="s",
            steps=good_below(0.1, 0.25),
            empty="idle",
        ),
        stat(
            "Budget left",
            "Of the errors that 99.9 % availability allows in 30 days. Overspent is shown down to "
            "−100 %.",
            'clamp_min(slo:budget_left:30d{slo="availability"}, -1)',
            unit="percentunit",
            steps=good_above(0, 0.25),
            decimals=1,
        ),
        stat(
            "Active users",
            "Different users of the last five minutes over all instances, estimated within 1 %.",
            'max(users_active{window="5m"}) or vector(0)',
        ),
        stat(
            "Sessions",
            "Sessions that have not ended, over all instances.",
            "max(sessions_active) or vector(0)",
        ),
        cache_hits(),
        stat(
            "Replicas",
            "Replicas that answer Prometheus.",
            'sum(up{job="web"}) or vector(0)',
            steps=good_above(1, 1),
        ),
    ]


def together() -> list[Any]:
    return [
        series(
            "Answers by status",
            "Requests per second by the first digit of their status.",
            query(
                f"""sum by (status_class) (
                rate(http_request_duration_seconds_count{{{PICKED}}}[$__rate_interval]))""",
                "{{status_class}}",
            ),
            unit="reqps",
            width=6,
            stacked=True,
            colors={"2xx": GREEN, "3xx": BLUE, "4xx": ORANGE, "5xx": RED},
        ),
        series(
            "Latency",
            "Half, 95 % and 99 % of the requests are answered faster than this.",
            *(
                query(f"histogram_quantile({share}, sum by (le) ({BUCKETS})) >= 0", name)
                for share, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
            ),
            unit="s",
            width=6,
            colors={"p50": GREEN, "p95": YELLOW, "p99": RED},
        ),
        series(
            "In flight",
            "Requests being answered, and the threads there are to do so. At the dashed line "
            "requests wait.",
            query('sum(http_requests_in_progress{instance=~"$instance"})', "in flight"),
            query('sum(app_workers{instance=~"$instance"} * app_worker_threads)', "threads"),
            width=6,
            colors={"threads": RED},
            dashed=["threads"],
        ),
        series(
            "Bytes in and out",
            "Bodies received and sent per second.",
            query(f"sum(rate(http_request_bytes_total{{{PICKED}}}[$__rate_interval]))", "received"),
            query(f"sum(rate(http_response_bytes_total{{{PICKED}}}[$__rate_interval]))", "sent"),
            unit="Bps",
            width=6,
        ),
    ]


def inside() -> list[Any]:
    return [
        series(
            "Cache lookups",
            "Lookups per second by outcome. Errors and bypasses mean that Redis is away.",
            query(
                """sum by (result) (rate(cache_requests_total{instance=~"$instance",
                operation=~"get|get_or_set"}[$__rate_interval]))""",
                "{{result}}",
            ),
            unit="reqps",
            stacked=True,
            colors={"hit": GREEN, "miss": BLUE, "error": RED, "bypass": ORANGE},
        ),
        series(
            "Active users",
            "Different users within 5 minutes, an hour and a day, over all instances.",
            query('max(users_active{window="5m"})', "5 minutes"),
            query('max(users_active{window="1h"})', "1 hour"),
            query('max(users_active{window="24h"})', "1 day"),
            at_least=5,
        ),
        series(
            "Sessions and items",
            "Open sessions and stored items, over all instances.",
            query("max(sessions_active)", "sessions"),
            query("max(items_stored)", "items"),
            at_least=5,
        ),
    ]


def versions() -> list[Any]:
    return [
        series(
            "Replicas by version",
            "Two colours at once: a deploy is under way. A purple mark: a version seen first.",
            query("count by (version) (app_info)", "{{version}}"),
            stacked=True,
        ),
        table(
            "What runs now",
            "One row for each version; more than one row outside a deploy is worth a look.",
            {
                "Replicas": (
                    query(
                        "count by (version, commit, environment, python) (app_info)", instant=True
                    ),
                    column("short"),
                )
            },
            labels={
                "version": "Version",
                "commit": "Commit",
                "environment": "Environment",
                "python": "Python",
            },
            sort="Replicas",
            width=16,
        ),
    ]
