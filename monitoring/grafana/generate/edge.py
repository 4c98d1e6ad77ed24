"""Edge: nginx's connections, statuses, upstream times, rate limiting and TLS."""

# fmt: off
# A panel is a paragraph: title, description, query, settings.

from typing import Any

from monitoring.grafana.generate import common
from monitoring.grafana.generate.frame import dashboard
from monitoring.grafana.generate.panels import (
    BLUE, GREEN, GREY, IDLE, ORANGE, QUANTILE_COLORS, RED, STATUS_COLORS, bars, good_below,
    quantiles, rate, series, stat)


def build() -> dict[str, Any]:
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


def numbers() -> list[Any]:
    def part(title: str, description: str, status: str, warn: float, bad: float) -> Any:
        expr = common.share(
            f'edge_requests_total{{traffic="users", status=~"{status}"}}', common.USERS)
        steps = good_below(warn, bad)
        return stat(title, description, expr, "percentunit", steps=steps, decimals=2)

    return [
        stat("Requests", "Requests answered by nginx per second, files and refusals included.",
             "sum(rate(edge_requests_total[2m]))", "reqps", decimals=1),
        common.errors(),
        part("No answer", "Share of users' requests that the service did not answer: 502 and 504.",
             "502|504", 0.0001, 0.01),
        part("Limited", "Share of 429, by nginx's limit or the service's.", "429", 0.01, 0.1),
        common.latency("Upstream"),
        stat("Connections", "Open connections of clients, idle ones included.",
             "sum(nginx_connections_active)"),
        common.probes(),
        common.certificate(),
    ]


def answers() -> list[Any]:
    by_class = f"""sum by (class) (label_replace(
    {rate("edge_requests_total")}, "class", "${{1}}xx", "status", "(.).."))"""
    total = "sum by (status, traffic) (increase(edge_requests_total[$__range]))"
    return [
        series("Answers by class", "Answers per second by the first digit of their status.",
               {"{{class}}": by_class}, "reqps", stacked=True, colors=STATUS_COLORS),
        bars("Answers by status",
             "Number of answers in the time range. Only users' requests count in the objectives.",
             {"{{status}} {{traffic}}": f"sort_desc({total} > 0)"}, "locale", decimals=0),
        series("Rate limiting", "Requests per second by the result of nginx's limit per client.",
               {"{{result}}": f"sum by (result) ({rate('edge_rate_limit_total')})"}, "reqps",
               colors={"passed": GREEN, "delayed": ORANGE, "rejected": RED}),
    ]


def upstream() -> list[Any]:
    def times(title: str, description: str, what: str, labels: str = "") -> Any:
        buckets = rate(f"edge_{what}_duration_seconds_bucket{labels}")
        return series(title, description, quantiles(f"sum by (le) ({buckets})"), "s",
                      colors=QUANTILE_COLORS, empty=IDLE)

    return [
        times("Time the service takes",
              "Users' requests, errors excluded, by nginx; all attempts of a request together.",
              "upstream", '{traffic="users", status_class!="5xx"}'),
        times("Time a visitor waits",
              "From the first byte of a request to the last of its answer, errors included. Much "
              "longer than the service's time: slow clients.",
              "request"),
        series("Attempts by status",
               "Answers of the service per second. 502 and 504 here but few above: another replica "
               "answered the retry.",
               {"{{status}}": f"sum by (status) ({rate('edge_upstream_attempts_total')})"},
               "reqps"),
    ]


def connections() -> list[Any]:
    kinds = {"reading": ORANGE, "writing": BLUE, "waiting": GREY}
    accepted, handled = rate("nginx_connections_accepted"), rate("nginx_connections_handled")
    return [
        series("Connections",
               "Reading a request, writing an answer, waiting for the next request.",
               {kind: f"sum(nginx_connections_{kind})" for kind in kinds}, stacked=True,
               at_least=5, colors=kinds),
        series("New connections", "Accepted per second, and dropped because nginx has too many.",
               {"accepted": f"sum({accepted})", "dropped": f"sum({accepted} - {handled})"}, "cps",
               colors={"accepted": BLUE, "dropped": RED}),
        series("Probe: time by phase", "The phases of a new visitor's request over TLS.",
               {"{{phase}}": 'max by (phase) (probe_http_duration_seconds{job="blackbox-tls"})'},
               "s", stacked=True),
    ]
