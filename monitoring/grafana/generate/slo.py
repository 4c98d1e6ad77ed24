"""SLO: how much may still go wrong, and how fast it does."""

from typing import Any

from frame import choice, dashboard
from panels import bars, series, stat, states, table
from parts import BLUE, GREEN, ORANGE, RED, column, good_above, good_below, query

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
COUNTED = 'route!~"/health.*|/api/v1/demo/.*|unmatched", route=~"$route"'
NAMES = {"availability": "Availability", "latency": "Latency"}
COLORS = {"availability": BLUE, "latency": ORANGE}


def slo() -> dict[str, Any]:
    return dashboard(
        "ds-slo",
        "SLO",
        "Availability 99.9 % and latency 99 % under 250 ms over 30 days: budgets and burn rates.",
        {
            "": [*numbers("availability"), *numbers("latency")],
            "How fast the budgets burn": burning(),
            "What it comes from": causes(),
        },
        variables=(choice("route", "Route", "http_requests_total"),),
        span="now-6h",
    )


def numbers(name: str) -> list[Any]:
    title = NAMES[name]
    return [
        stat(
            title,
            {
                "availability": "Requests of 30 days not answered with a 5xx. Objective: 99.9 %.",
                "latency": "Requests of 30 days answered within 250 ms. Objective: 99 %.",
            }[name],
            f"""1 - (1 - slo:budget_left:30d{{slo="{name}"}})
            * (1 - slo:objective{{slo="{name}"}})""",
            unit="percentunit",
            steps={
                "availability": good_above(0.998, 0.999),
                "latency": good_above(0.98, 0.99),
            }[name],
            decimals=3 if name == "availability" else 2,
            width=4,
        ),
        stat(
            "Budget left",
            f"Of what the {name} objective allows to go wrong in 30 days. Overspent is shown down "
            "to −100 %.",
            f'clamp_min(slo:budget_left:30d{{slo="{name}"}}, -1)',
            unit="percentunit",
            steps=good_above(0, 0.25),
            decimals=1,
            width=4,
        ),
        stat(
            "Burn rate, 1 h",
            "1 spends the budget in exactly 30 days; above 14.4 somebody is paged.",
            f'slo:burn_rate:1h{{slo="{name}"}}',
            steps=good_below(1, 14.4),
            decimals=2,
            width=4,
        ),
        states(
            f"{title} alerts",
            "When the budget burned too fast.",
            query(
                f"""max(ALERTS{{alertname=~"ErrorBudgetBurns.*", alertstate="firing",
                slo="{name}"}}) or vector(0)""",
                name,
            ),
            {"0": ("quiet", GREEN), "1": ("firing", RED)},
            width=12,
            height=4,
        ),
    ]


def burning() -> list[Any]:
    return [
        *(
            bars(
                f"{title}: burn rate by window",
                "1 spends the budget in 30 days. Two windows above their limit make an alert: "
                "1 h and 5 min 14.4, 6 h and 30 min 6, 1 d and 2 h 3, 3 d and 6 h 1.",
                *(
                    query(f'slo:burn_rate:{window}{{slo="{name}"}}', window, instant=True)
                    for window in WINDOWS
                ),
                steps=[(None, GREEN), (1, ORANGE), (14.4, RED)],
                highest=20,
                decimals=2,
                width=12,
            )
            for name, title in NAMES.items()
        ),
        series(
            "Burn rate over 1 hour",
            "The line is 14.4, where it pages if the last five minutes are above it as well.",
            query("slo:burn_rate:1h", "{{slo}}"),
            steps=[(None, GREEN), (14.4, RED)],
            at_least=16,
            colors=COLORS,
        ),
        series(
            "Burn rate over 6 hours",
            "The line is 6, where it pages if the last half hour is above it as well.",
            query("slo:burn_rate:6h", "{{slo}}"),
            steps=[(None, GREEN), (6, RED)],
            at_least=7,
            colors=COLORS,
        ),
        series(
            "Budget left",
            "Of 30 days. It recovers as bad hours fall out of the window.",
            query("clamp_min(slo:budget_left:30d, -1)", "{{slo}}"),
            unit="percentunit",
            lowest=-1,
            highest=1,
            colors=COLORS,
        ),
    ]


def causes() -> list[Any]:
    total = f"sum by (route) (increase(http_requests_total{{{COUNTED}}}[$__range])) > 0"
    failed = f"""sum by (route) (increase(
    http_requests_total{{{COUNTED}, status=~"5.."}}[$__range])) or 0 * ({total})"""
    answered = f"""sum by (route) (increase(http_request_duration_seconds_count{{{COUNTED},
    status_class!="5xx"}}[$__range]))"""
    fast = f"""sum by (route) (increase(http_request_duration_seconds_bucket{{{COUNTED},
    status_class!="5xx", le="0.25"}}[$__range]))"""
    return [
        table(
            "Routes in the time range",
            "Where the budgets went: failed and slow requests by route.",
            {
                "Requests": (query(total, instant=True), column("locale", decimals=0)),
                "Failed": (
                    query(failed, instant=True),
                    column("locale", steps=[(None, GREEN), (1, RED)], decimals=0),
                ),
                "Slower than 250 ms": (
                    query(f"clamp_min({answered} - {fast}, 0)", instant=True),
                    column("locale", steps=[(None, GREEN), (1, ORANGE)], decimals=0),
                ),
            },
            labels={"route": "Route"},
            sort="Failed",
            width=16,
            height=9,
        ),
        series(
            "Bad requests",
            "Share of the requests of five minutes that failed, or took too long.",
            query("slo:bad_ratio:rate5m", "{{slo}}"),
            unit="percentunit",
            height=9,
            colors=COLORS,
        ),
    ]
