"""Edge: what nginx met, from visitors and from the service."""

from typing import Any

from frame import dashboard
from panels import bars, series, stat
from parts import BLUE, GREEN, GREY, ORANGE, RED, YELLOW, good_below, query
from shared import certificate, probes

BY_CLASS = """sum by (class) (label_replace(
rate(edge_requests_total[$__rate_interval]), "class", "${1}xx", "status", "(.).."))"""


def edge() -> dict[str, Any]:
    return dashboard(
        "ds-edge",
        "Edge",
        "nginx: connections, statuses, upstream time, rate limiting, TLS.",
        {
            "": numbers(),
            "Answers": answers(),
            "The service behind nginx": upstream(),
            "Connections and probes": connections(),
        },
    )


def share(status: str) -> str:
    return f"""sum(rate(edge_requests_total{{status=~"{status}"}}[$__rate_interval]))
    / (sum(rate(edge_requests_total[$__rate_interval])) > 0) or vector(0)"""


def quantile(what: str, part: float) -> str:
    return f"""histogram_quantile({part}, sum by (le) (
    rate(edge_{what}_duration_seconds_bucket[$__rate_interval]))) >= 0"""


def numbers() -> list[Any]:
    return [
        stat(
            "Requests",
            "Requests answered by nginx per second, files and refusals included.",
            "sum(rate(edge_requests_total[$__rate_interval]))",
            unit="reqps",
            decimals=1,
        ),
        stat(
            "Errors",
            "Share of answers with a 5xx, the service's own and nginx's.",
            share("5.."),
            unit="percentunit",
            steps=good_below(0.001, 0.01),
            decimals=2,
        ),
        stat(
            "No answer",
            "Share of requests for which nginx got no answer from the service: 502 and 504.",
            share("502|504"),
            unit="percentunit",
            steps=good_below(0.0001, 0.01),
            decimals=2,
        ),
        stat(
            "Limited",
            "Share of requests answered with 429, by nginx's limit or the service's own.",
            share("429"),
            unit="percentunit",
            steps=good_below(0.01, 0.1),
            decimals=2,
        ),
        stat(
            "Upstream",
            "p95: 95 % of what was passed on to the service took less than this.",
            quantile("upstream", 0.95),
            unit="s",
            steps=good_below(0.1, 0.25),
            empty="idle",
        ),
        stat(
            "Connections",
            "Open connections from clients, idle ones included.",
            "sum(nginx_connections_active)",
        ),
        probes(),
        certificate(),
    ]


def answers() -> list[Any]:
    return [
        series(
            "Answers by class",
            "Answers per second by the first digit of their status.",
            query(BY_CLASS, "{{class}}"),
            unit="reqps",
            stacked=True,
            colors={"2xx": GREEN, "3xx": BLUE, "4xx": ORANGE, "5xx": RED},
        ),
        bars(
            "Answers by status",
            "How many of each in the time range.",
            query(
                "sort_desc(sum by (status) (increase(edge_requests_total[$__range])) > 0)",
                "{{status}}",
                instant=True,
            ),
            unit="locale",
            decimals=0,
        ),
        series(
            "Rate limiting",
            "What nginx's limit per client did with requests, per second.",
            query("sum by (result) (rate(edge_rate_limit_total[$__rate_interval]))", "{{result}}"),
            unit="reqps",
            colors={"passed": GREEN, "delayed": ORANGE, "rejected": RED},
        ),
    ]


def upstream() -> list[Any]:
    return [
        series(
            "Time the service takes",
            "As nginx sees it, all attempts together.",
            *(
                query(quantile("upstream", part), name)
                for part, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
            ),
            unit="s",
            colors={"p50": GREEN, "p95": YELLOW, "p99": RED},
            empty="idle",
        ),
        series(
            "Time a visitor waits",
            "From the first byte of a request to the last of its answer. Far above the service's "
            "time: slow clients.",
            *(
                query(quantile("request", part), name)
                for part, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
            ),
            unit="s",
            colors={"p50": GREEN, "p95": YELLOW, "p99": RED},
            empty="idle",
        ),
        series(
            "Attempts by what came back",
            "Answers of the service per second. 502 and 504 here with few above: another replica "
            "was asked and answered.",
            query(
                "sum by (status) (rate(edge_upstream_attempts_total[$__rate_interval])) > 0",
                "{{status}}",
            ),
            unit="reqps",
            empty="idle",
        ),
    ]


def connections() -> list[Any]:
    return [
        series(
            "Connections",
            "Reading a request, writing an answer, waiting for the next request.",
            query("sum(nginx_connections_reading)", "reading"),
            query("sum(nginx_connections_writing)", "writing"),
            query("sum(nginx_connections_waiting)", "waiting"),
            stacked=True,
            at_least=5,
            colors={"reading": ORANGE, "writing": BLUE, "waiting": GREY},
        ),
        series(
            "New connections",
            "Accepted per second, and those that were dropped at once because nginx had no room.",
            query("sum(rate(nginx_connections_accepted[$__rate_interval]))", "accepted"),
            query(
                """sum(rate(nginx_connections_accepted[$__rate_interval])
                - rate(nginx_connections_handled[$__rate_interval]))""",
                "dropped",
            ),
            unit="cps",
            colors={"accepted": BLUE, "dropped": RED},
        ),
        series(
            "Bytes sent",
            "Bodies sent to visitors per second, compressed.",
            query("sum(rate(edge_response_bytes_total[$__rate_interval]))", "sent"),
            unit="Bps",
        ),
        series(
            "Probe: time by phase",
            "What a new visitor over TLS waits for.",
            query('max by (phase) (probe_http_duration_seconds{job="blackbox-tls"})', "{{phase}}"),
            unit="s",
            width=12,
            stacked=True,
        ),
        series(
            "Probe: all of it",
            "Time of a whole probe of /health.",
            query("max by (instance) (probe_duration_seconds)", "{{instance}}"),
            unit="s",
            width=12,
        ),
    ]
