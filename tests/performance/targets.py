"""What the service promises, as ratios within one run, and whether this run shows it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypedDict

Result = dict[str, Any]


class Verdict(TypedDict):
    """One line of the table, as `--json` writes it."""

    name: str
    value: float | None
    """None when this run has not measured it."""
    target: str
    ok: bool


@dataclass(frozen=True)
class Target:
    """A ratio and its bound."""

    name: str
    value: Callable[[Result], float]
    bound: float
    at_least: bool
    alone: Callable[[Result], float] | None = None
    """The same for Flask alone on the same server: what features could at most give back."""

    def verdict(self, result: Result) -> Verdict:
        """How the run did; a missing section or variant is no success."""
        sign = "≥" if self.at_least else "≤"
        value = None
        ok = False
        try:
            value = self.value(result)
        except KeyError:
            pass
        else:
            ok = value >= self.bound if self.at_least else value <= self.bound
        return Verdict(name=self.name, value=value, target=f"{sign} {self.bound:g}", ok=ok)


def targets(result: Result) -> list[Verdict]:
    """Every target's verdict, in the table's order."""
    return [target.verdict(result) for target in TARGETS]


def flask_alone(result: Result) -> dict[str, float]:
    """By target, how Flask without a single feature does, where this run has measured it."""
    found = {}
    for target in TARGETS:
        with suppress(KeyError):
            if target.alone:
                found[target.name] = target.alone(result)
    return found


def rate(
    kind: str, one: str, other: str, other_kind: str | None = None
) -> Callable[[Result], float]:
    """Requests a second of one variant against another's, of the same kind unless said."""

    def value(result: Result) -> float:
        of = result["throughput"]
        theirs = of[other][other_kind or kind]
        return median(of[one][kind]["per_second"]) / median(theirs["per_second"])

    return value


def over(section: str, one: tuple[str, ...], other: tuple[str, ...]) -> Callable[[Result], float]:
    """A figure of a section against another one of the same section."""

    def value(result: Result) -> float:
        first = second = result[section]
        for name in one:
            first = first[name]
        for name in other:
            second = second[name]
        return median(first) / median(second)

    return value


def median(figure: Any) -> float:
    """Of a `Figure`, or the number itself where nothing varies."""
    return float(figure["median"] if isinstance(figure, dict) else figure)


TARGETS = (
    Target(
        "Redis-backed GET through nginx, against tutorial: default server, read every time",
        rate("redis", "ours", "tutorial"),
        2,
        True,
        rate("redis", "bare", "tutorial"),
    ),
    Target(
        "Redis-backed GET through nginx, against tutorial: with the in-process layer",
        rate("redis", "ours+layer", "tutorial"),
        2.5,
        True,
        rate("info", "bare", "tutorial", "redis"),
    ),
    Target(
        "Redis-backed GET through nginx, against tutorial: Granian, with the layer",
        rate("redis", "granian+layer", "tutorial"),
        3,
        True,
        rate("info", "granian, bare", "tutorial", "redis"),
    ),
    Target(
        "Redis-backed GET through nginx, against tutorial: Granian, read every time",
        rate("redis", "granian", "tutorial"),
        3,
        True,
        rate("redis", "granian, bare", "tutorial"),
    ),
    Target(
        "Redis-backed GET through nginx, against fastapi: default server, with the layer",
        rate("redis", "ours+layer", "fastapi"),
        1,
        True,
    ),
    Target(
        "cacheable GET through nginx, against tutorial",
        rate("cacheable", "ours", "tutorial"),
        12,
        True,
    ),
    Target(
        "instructions per request, all features, against bare",
        over("instructions", ("ours", "info"), ("bare", "info")),
        1.25,
        False,
    ),
    Target(
        "p99 at half of the tutorial's capacity, constant rate, against tutorial",
        over("latency", ("ours", "p99_ms"), ("tutorial", "p99_ms")),
        0.8,
        False,
        over("latency", ("bare", "p99_ms"), ("tutorial", "p99_ms")),
    ),
    Target(
        "CPU of a scrape, 8 workers, against stock multiprocess mode",
        over("scrape", ("ours",), ("stock",)),
        0.2,
        False,
    ),
    Target(
        "CPU of a scrape after 50 worker deaths, against before",
        over("scrape", ("after deaths",), ("ours",)),
        1.2,
        False,
    ),
    Target(
        "memory of 4 workers (PSS), against tutorial",
        over("memory", ("ours",), ("tutorial",)),
        0.4,
        False,
        over("memory", ("bare",), ("tutorial",)),
    ),
    Target(
        "start to first 200, against tutorial",
        over("start", ("ours",), ("tutorial",)),
        0.8,
        False,
        over("start", ("bare",), ("tutorial",)),
    ),
    Target(
        "list page with 1 million items, against 1,000",
        over("items", ("many", "seconds"), ("few", "seconds")),
        1.5,
        False,
    ),
    Target(
        "throughput with 2 workers on 2 cores, against 1",
        over("scaling", ("2",), ("1",)),
        1.7,
        True,
    ),
)
