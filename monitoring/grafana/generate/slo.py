"""SLO: the error budgets that are left, and their burn rates."""

# fmt: off
# A panel is a paragraph: title, description, query, settings.

from typing import Any

from monitoring.grafana.generate import names as n
from monitoring.grafana.generate.frame import choice, dashboard
from monitoring.grafana.generate.panels import (
    BLUE, GREEN, ORANGE, RED, bars, column, good_above, good_below, limit, series, stat,
    states, table)

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
COUNTED = 'route!~"/health.*|/api/v1/demo/.*|unmatched", route=~"$route"'
COLORS = {"availability": BLUE, "latency": ORANGE}


def build() -> dict[str, Any]:
    return dashboard(
        "ds-slo",
        "SLO",
        "Availability 99.9 % and latency 99 % under 250 ms over 30 days: budgets and burn rates.",
        {
            "": [
                *numbers(
                    "availability",
                    "Requests of 30 days not answered with a 5xx. Objective: 99.9 %.",
                    good_above(0.998, 0.999),
                ),
                *numbers(
                    "latency",
                    "Requests of 30 days answered within 250 ms. Objective: 99 %.",
                    good_above(0.98, 0.99),
                ),
            ],
            "How fast the budgets burn": burning(),
            "Which routes spend them": causes(),
        },
        variables=(choice("route", "Route", n.REQUESTS),),
        span="now-6h",
    )


def numbers(name: str, description: str, steps: list[tuple[float | None, str]]) -> list[Any]:
    firing = f'ALERTS{{alertname=~"ErrorBudgetBurns.*", alertstate="firing", slo="{name}"}}'
    return [
        stat(name.capitalize(), description,
             f"""1 - (1 - slo:budget_left:30d{{slo="{name}"}})
             * (1 - slo:objective{{slo="{name}"}})""",
             "percentunit", steps=steps, decimals=3 if name == "availability" else 2, width=4),
        stat("Budget left",
             f"Share of the {name} budget of 30 days. Overspent is shown down to −100 %.",
             f'clamp_min(slo:budget_left:30d{{slo="{name}"}}, -1)', "percentunit",
             steps=good_above(0, 0.25), decimals=1, width=4),
        stat("Burn rate, 1 h",
             "1 spends the budget in exactly 30 days; above 14.4 an alert pages.",
             f'slo:burn_rate:1h{{slo="{name}"}}', steps=good_below(1, 14.4), decimals=2, width=4),
        states(f"{name.capitalize()} alerts", "When the budget burned too fast.",
               {name: f"max({firing}) or vector(0)"},
               {"0": ("quiet", GREEN), "1": ("firing", RED)}, width=12, height=4),
    ]


def burning() -> list[Any]:
    def line(window: str, value: float, short: str) -> Any:
        return series(f"Burn rate over {window[0]} hour{'s' if window != '1h' else ''}",
                      f"Above the line, {value:g}, an alert pages if the last {short} are too.",
                      {"{{slo}}": f"slo:burn_rate:{window}"}, steps=limit(value),
                      at_least=round(value * 1.1), colors=COLORS)

    return [
        *(
            bars(f"{name.capitalize()}: burn rate by window",
                 "1 spends the budget in 30 days. Two windows above their limit make an alert: "
                 "1 h and 5 min 14.4, 6 h and 30 min 6, 1 d and 2 h 3, 3 d and 6 h 1.",
                 {window: f'slo:burn_rate:{window}{{slo="{name}"}}' for window in WINDOWS},
                 steps=[(None, GREEN), (1, ORANGE), (14.4, RED)], highest=20, decimals=2, width=12)
            for name in COLORS
        ),
        line("1h", 14.4, "5 minutes"),
        line("6h", 6, "30 minutes"),
        series("Budget left", "Of 30 days. It recovers as bad hours leave the window.",
               {"{{slo}}": "clamp_min(slo:budget_left:30d, -1)"}, "percentunit", lowest=-1,
               highest=1, colors=COLORS),
    ]


def causes() -> list[Any]:
    def increase(metric: str, labels: str) -> str:
        return f"sum by (route) (increase({metric}{{{COUNTED}{labels}}}[$__range]))"

    total = f"{increase(n.REQUESTS, '')} > 0"
    success = ', status_class!="5xx"'
    fast = increase(f"{n.DURATION}_bucket", f'{success}, le="0.25"')
    slow = f"clamp_min({increase(f'{n.DURATION}_count', success)} - {fast}, 0)"
    orange = [(None, GREEN), (1.0, ORANGE)]
    failed = f"""{increase(n.REQUESTS, ', status=~"5.."')} or 0 * ({total})"""
    return [
        table("Routes in the time range", "Failed and slow requests by route.",
              {"Requests": column(total, "locale", decimals=0),
               "Failed": column(failed, "locale", steps=limit(1), decimals=0),
               "Slower than 250 ms": column(slow, "locale", steps=orange, decimals=0)},
              labels={"route": "Route"}, sort="Failed", width=16, height=9),
        series("Bad requests",
               "Share of the requests of five minutes that failed or were too slow.",
               {"{{slo}}": "slo:bad_ratio:rate5m"}, "percentunit", height=9, colors=COLORS),
    ]
