"""Edge: nginx's connections, statuses, upstream times, rate limiting and TLS."""

# fmt: off
# A panel is a paragraph: title, description, query, settings.

from typing import Any

from monitoring.grafana.generate.frame import certificate, dashboard, probes
from monitoring.grafana.generate.panels import (
    BLUE, GREEN, GREY, ORANGE, QUANTILE_COLORS, RED, STATUS_COLORS, bars, good_below,
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


def durations(what: str) -> dict[str, str]:
    return quantiles(f"sum by (le) ({rate(f'edge_{what}_duration_seconds_bucket')})")


def numbers() -> list[Any]:
    def share(title: str, description: str, status: str, warn: float, bad: float) -> Any:
        matching = f'edge_requests_total{{status=~"{status}"}}'
        expr = f"""sum({rate(matching)})
        / (sum({rate("edge_requests_total")}) > 0) or vector(0)"""
        steps = good_below(warn, bad)
        return stat(title, description, expr, "percentunit", steps=steps, decimals=2)

    return [
        stat("Requests", "Requests answered by nginx per second, files and refusals included.",
             f"sum({rate('edge_requests_total')})", "reqps", decimals=1),
        share("Errors", "Share of 5xx answers, the service's and nginx's.", "5..", 0.001, 0.01),
        share("No answer", "Share of requests that the service did not answer: 502 and 504.",
              "502|504", 0.0001, 0.01),
        share("Limited", "Share of 429, by nginx's limit or the service's.", "429", 0.01, 0.1),
        stat("Upstream", "p95: 95 % of the requests passed to the service took less.",
             durations("upstream")["p95"], "s", steps=good_below(0.1, 0.25), empty="idle"),
        stat("Connections", "Open connections of clients, idle ones included.",
             "sum(nginx_connections_active)"),
        probes(),
        certificate(),
    ]


def answers() -> list[Any]:
    by_class = f"""sum by (class) (label_replace(
    {rate("edge_requests_total")}, "class", "${{1}}xx", "status", "(.).."))"""
    total = "sum by (status) (increase(edge_requests_total[$__range]))"
    return [
        series("Answers by class", "Answers per second by the first digit of their status.",
               {"{{class}}": by_class}, "reqps", stacked=True, colors=STATUS_COLORS),
        bars("Answers by status", "Number of answers in the time range.",
             {"{{status}}": f"sort_desc({total} > 0)"}, "locale", decimals=0),
        series("Rate limiting", "Requests per second by the result of nginx's limit per client.",
               {"{{result}}": f"sum by (result) ({rate('edge_rate_limit_total')})"}, "reqps",
               colors={"passed": GREEN, "delayed": ORANGE, "rejected": RED}),
    ]


def upstream() -> list[Any]:
    def times(title: str, description: str, what: str) -> Any:
        queries = durations(what)
        return series(title, description, queries, "s", colors=QUANTILE_COLORS, empty="idle")

    return [
        times("Time the service takes", "Measured by nginx, all attempts of a request together.",
              "upstream"),
        times("Time a visitor waits",
              "From the first byte of a request to the last of its answer. Much longer than the "
              "service's time: slow clients.",
              "request"),
        series("Attempts by status",
               "Answers of the service per second. 502 and 504 here but few above: another replica "
               "answered the retry.",
               {"{{status}}": f"sum by (status) ({rate('edge_upstream_attempts_total')}) > 0"},
               "reqps", empty="idle"),
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
        series("Bytes sent", "Bytes of bodies sent to visitors per second, compressed.",
               {"sent": f"sum({rate('edge_response_bytes_total')})"}, "Bps"),
        series("Probe: time by phase", "The phases of a new visitor's request over TLS.",
               {"{{phase}}": 'max by (phase) (probe_http_duration_seconds{job="blackbox-tls"})'},
               "s", width=12, stacked=True),
        series("Probe: total time", "Duration of a whole probe of /health.",
               {"{{instance}}": "max by (instance) (probe_duration_seconds)"}, "s", width=12),
    ]
