"""The measures, the targets of the service as ratios within one run, and their table."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

MEASURES = {
    "redis": "requests/s, GET from Redis",
    "info": "requests/s, GET without Redis",
    "cacheable": "requests/s, GET that nginx may cache",
    "p99": "ms, p99 at a constant rate",
    "instructions": "thousand instructions, GET without Redis",
    "instructions redis": "thousand instructions, GET from Redis",
    "memory": "MB (PSS), 4 workers and master",
    "start": "ms, start to the first 200",
    "scrape": "ms CPU, scrape at 8 workers",
    "items": "ms, page of 20 items",
    "scaling": "requests/s, workers on 2 cores",
    "cpu traced": "µs CPU, GET from Redis",
    "cpu spans": "µs CPU, the spans of such a GET",
    "memory traced": "MB (PSS), 4 workers and master",
    "p99 traced": "ms, p99 at a constant rate",
    "instructions traced": "thousand instructions, GET from Redis",
}
"""By name, unit and meaning."""


class Figure(TypedDict):
    """The summary of several readings."""

    median: float
    spread: float
    """(highest - lowest) / median."""
    readings: list[float]


Figures = dict[str, dict[str, Figure]]
"""By measure and by variant."""

# Above this difference of an A/A pair, small differences of other pairs mean nothing.
QUIET = 0.10


class Verdict(TypedDict):
    """One row of the table, as `--json` writes it."""

    measure: str
    variants: str
    value: float | None
    """None: not measured in this run."""
    target: str
    ok: bool
    flask_alone: float | None


@dataclass(frozen=True)
class Target:
    """A ratio of two variants and its bound."""

    measure: str
    variant: str
    base: str
    bound: str
    """`≥` or `≤` and a number."""
    alone: str | None = None
    """The peer without features on the same server."""
    alone_measure: str | None = None

    def verdict(self, figures: Figures) -> Verdict:
        """Whether this run met the target; what was not measured counts as not met."""
        value = self._ratio(figures, self.measure, self.variant)
        sign, bound = self.bound.split()
        met = value is not None and (
            value >= float(bound) if sign == "≥" else value <= float(bound)
        )
        return Verdict(
            measure=self.measure,
            variants=f"{self.variant} / {self.base}",
            value=value,
            target=self.bound,
            ok=met,
            flask_alone=self._ratio(figures, self.alone_measure or self.measure, self.alone),
        )

    def _ratio(self, figures: Figures, measure: str, variant: str | None) -> float | None:
        one = figures.get(measure, {}).get(variant or "")
        base = figures.get(self.measure, {}).get(self.base)
        return round(ratio(one, base), 3) if one and base else None


TARGETS = (
    Target("redis", "ours", "tutorial", "≥ 2", alone="bare"),
    # The in-process cache saves the way to Redis: Flask alone then answers like a GET without it.
    Target("redis", "ours+cache", "tutorial", "≥ 2.5", alone="bare", alone_measure="info"),
    Target("redis", "granian", "tutorial", "≥ 3", alone="granian, bare"),
    Target(
        "redis", "granian+cache", "tutorial", "≥ 3", alone="granian, bare", alone_measure="info"
    ),
    Target("redis", "ours+cache", "fastapi", "≥ 1"),
    Target("cacheable", "ours", "tutorial", "≥ 12"),
    Target("p99", "ours", "tutorial", "≤ 0.8", alone="bare"),
    Target("instructions", "ours", "bare", "≤ 1.25"),
    Target("memory", "ours", "tutorial", "≤ 0.4", alone="bare"),
    Target("start", "ours", "tutorial", "≤ 0.8", alone="bare"),
    Target("scrape", "ours", "stock", "≤ 0.2"),
    Target("scrape", "after 50 deaths", "ours", "≤ 1.2"),
    Target("items", "1,000,000", "1,000", "≤ 1.5"),
    Target("scaling", "2 workers", "1 worker", "≥ 1.7"),
    Target("cpu traced", "10 % traced", "ours", "≤ 1.05"),
    Target("cpu traced", "100 % traced", "ours", "≤ 1.3"),
    Target("memory traced", "100 % traced", "ours", "≤ 1.15"),
    Target("memory traced", "SDK installed", "ours", "≤ 1.15"),
    *(
        Target(measure, f"collector {kind}", "ours", bound)
        for kind in ("gone", "hung", "refusing")
        for measure, bound in (("p99 traced", "≤ 1.05"), ("cpu traced", "≤ 1.3"))
    ),
    Target("cpu traced", "tutorial traced", "tutorial", "≤ 1.3"),
    Target("memory traced", "tutorial traced", "tutorial", "≤ 1.15"),
    Target("instructions traced", "10 % traced", "ours", "≤ 1.05"),
    Target("instructions traced", "100 % traced", "ours", "≤ 1.3"),
)

AGAINST = (
    Target("redis", "ours", "before", "≥ 0.97"),
    Target("info", "ours", "before", "≥ 0.97"),
    Target("instructions", "ours", "before", "≤ 1.02"),
    Target("instructions redis", "ours", "before", "≤ 1.02"),
    Target("memory", "ours", "before", "≤ 1.02"),
    Target("start", "ours", "before", "≤ 1"),
)
"""Of `--against`: this checkout beside another one."""


def figure(readings: Sequence[float]) -> Figure:
    """The readings' median and spread, in five digits.

    Raises:
        statistics.StatisticsError: there are no readings.
    """
    median = statistics.median(readings)
    spread = (max(readings) - min(readings)) / median if median else 0.0
    return Figure(
        median=float(f"{median:.5g}"),
        spread=round(spread, 3),
        readings=[float(f"{reading:.5g}") for reading in readings],
    )


def ratio(value: Figure, base: Figure) -> float:
    """`value` / `base`: the median of the rounds' ratios, because the machine's speed drifts.

    Where the two were not measured in the same rounds, the ratio of their medians.
    """
    pairs = list(zip(value["readings"], base["readings"], strict=False))
    if len(value["readings"]) != len(base["readings"]) or not all(two for _, two in pairs):
        return value["median"] / base["median"]
    return statistics.median(one / two for one, two in pairs)


def table(result: dict[str, Any]) -> str:
    """The targets as a Markdown table whose columns are aligned in plain text, too."""
    rows = [["measure", "ratio", "medians", "measured", "target", "met", "Flask alone"]]
    for verdict in result["targets"]:
        one, base = verdict["variants"].split(" / ")
        of = result["figures"].get(verdict["measure"], {})
        medians = [_short(of[name]["median"]) if name in of else "-" for name in (one, base)]
        rows.append(
            [
                MEASURES[verdict["measure"]],
                verdict["variants"],
                " / ".join(medians),
                "-" if verdict["value"] is None else f"{verdict['value']:.2f}",
                verdict["target"],
                "yes" if verdict["ok"] else "no",
                "" if verdict["flask_alone"] is None else f"{verdict['flask_alone']:.2f}",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in rows
    )


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def noise(figures: Figures) -> float | None:
    """How far the A/A pair differs, the same thing measured under two names; None: not measured."""
    found = [
        abs(ratio(of["ours again"], of["ours"]) - 1)
        for of in figures.values()
        if "ours again" in of and "ours" in of
    ]
    return max(found, default=None)
