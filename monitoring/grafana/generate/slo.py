"""SLO: the error budgets that are left, and their burn rates."""

# fmt: off
# A panel is a paragraph: title, description, query, settings.

import re
from pathlib import Path
from typing import Any

from monitoring.grafana.generate import names as n
from monitoring.grafana.generate.common import FAILED, USERS
from monitoring.grafana.generate.frame import LINES_OF_ROW, choice, dashboard
from monitoring.grafana.generate.panels import (
    BLUE, GREEN, IDLE, ORANGE, RED, bars, cell, column, good_above, good_below, limit,
    or_zero, series, stat, states, table)

RULES = Path(__file__).resolve().parents[2] / "prometheus" / "rules"
WINDOWS = ("1m", "5m", "10m", "30m", "1h", "2h", "6h", "1d", "3d")
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
    firing = f'max(ALERTS{{slo="{name}", alertstate="firing"}})'
    return [
        stat(name.capitalize(), description,
             f"""1 - (1 - min(slo:budget_left:30d{{slo="{name}"}}))
             * (1 - max(slo:objective{{slo="{name}"}}))""",
             "percentunit", steps=steps, decimals=3 if name == "availability" else 2, width=4),
        stat("Budget left",
             f"Share of the {name} budget of 30 days. Overspent is shown down to −100 %.",
             f'clamp_min(min(slo:budget_left:30d{{slo="{name}"}}), -1)', "percentunit",
             steps=good_above(0, 0.25), decimals=1, width=4),
        stat("Burn rate, 1 h",
             "1 spends the budget in exactly 30 days; above 14.4 an alert pages.",
             f'max(slo:burn_rate:1h{{slo="{name}"}})', steps=good_below(1, 14.4), decimals=2,
             width=4),
        states(f"{name.capitalize()} alerts", "When the budget burned too fast.",
               {name: or_zero(firing, f'max(slo:burn_rate:5m{{slo="{name}"}})')},
               {"0": ("quiet", GREEN), "1": ("firing", RED)}, width=12, height=4),
    ]


def limits(alert: str) -> dict[str, float]:
    """Each window in the alert's rules, and the lowest burn rate above which it counts."""
    text = (RULES / "slo-alerts.yml").read_text(encoding="utf-8")
    rules = [part for part in text.split("- alert: ")[1:] if part.startswith(f"{alert}\n")]
    found: dict[str, float] = {}
    for window, value in re.findall(r"slo:burn_rate:(\w+)[^<>]*> ([\d.]+)", " ".join(rules)):
        found[window] = min(float(value), found.get(window, float(value)))
    return found


def burning() -> list[Any]:
    pages, warns = limits("ErrorBudgetBurnsFast"), limits("ErrorBudgetBurnsSlowly")

    def burns(name: str) -> Any:
        queries, steps_of = {}, {}
        for window in WINDOWS:
            warn, page = warns.get(window, 1), pages.get(window)
            legend = f"{window}, limit {page or warn:g}"
            queries[legend] = f'max(slo:burn_rate:{window}{{slo="{name}"}})'
            steps_of[legend] = [(None, GREEN), (warn, ORANGE), *([(page, RED)] if page else [])]
        return bars(f"{name.capitalize()}: burn rate by window",
                    "1 spends the budget in 30 days. Red: above the limit of this window in an "
                    "alert that pages. Orange: above that of a warning or, without one, above 1.",
                    queries, steps_of=steps_of, highest=50, decimals=2, width=12,
                    height=9)

    def line(window: str) -> Any:
        return series(f"Burn rate over {window[0]} hour{'s' if window != '1h' else ''}",
                      f"Above the line, {pages[window]:g}, an alert pages if shorter windows are "
                      "above their limits too.",
                      {"{{slo}}": f"max by (slo) (slo:burn_rate:{window})"},
                      steps=limit(pages[window]), at_least=round(pages[window] * 1.1),
                      colors=COLORS)

    return [
        *(burns(name) for name in COLORS),
        line("1h"),
        line("6h"),
        series("Budget left", "Of 30 days. It recovers as bad hours leave the window.",
               {"{{slo}}": "clamp_min(min by (slo) (slo:budget_left:30d), -1)"}, "percentunit",
               lowest=-1, highest=1, colors=COLORS),
    ]


def causes() -> list[Any]:
    def increase(metric: str, labels: str) -> str:
        return f"sum by (route) (increase({metric}{{{COUNTED}{labels}}}[$__range]))"

    total = f"{increase(n.REQUESTS, '')} > 0"
    success = ', status_class!="5xx"'
    fast = increase(f"{n.DURATION}_bucket", f'{success}, le="0.25"')
    slow = f"clamp_min({increase(f'{n.DURATION}_count', success)} - {fast}, 0)"
    orange = [(None, GREEN), (1.0, ORANGE)]
    at_edge = f"sum by (status) (increase({FAILED}[$__range]) >= 1)"
    nothing = f'label_replace(0 * sum(increase({USERS}[$__range])), "status", "5xx", "", "")'
    failed = f"""{increase(n.REQUESTS, ', status=~"5.."')} or 0 * ({total})"""
    return [
        table("Routes in the time range",
              "Failed and slow requests by route, as the service counts them. Click one for the "
              "commands that find its log lines.",
              {"Requests": column(total, "locale", decimals=0),
               "Failed": column(failed, "locale", steps=limit(1), decimals=0),
               "Slower than 250 ms": column(slow, "locale", steps=orange, decimals=0)},
              labels={"route": "Route"}, sort="Failed", width=16, height=9, empty=IDLE,
              cells={"Route": cell(260, [LINES_OF_ROW])}),
        table("Failed at the edge",
              "Users' requests of the time range that ended in a 5xx. 502 and 504 are nginx's own: "
              "no route of the service counts them.",
              {"Answers": column(f"{at_edge} or {nothing} unless on () {at_edge}", "locale",
                                 steps=limit(1), decimals=0)},
              labels={"status": "Status"}, sort="Answers", width=8, height=9),
    ]
