"""Readings of one quantity: their median, their spread, and the ratio of two quantities."""

import statistics
from collections.abc import Sequence
from typing import TypedDict


class Figure(TypedDict):
    """The summary of several readings."""

    median: float
    spread: float
    """(highest - lowest) / median."""
    readings: list[float]


Figures = dict[str, dict[str, Figure]]
"""By measure (MEASURES in targets.py) and by variant."""


def figure(readings: Sequence[float]) -> Figure:
    """The readings' median and spread.

    Raises:
        ValueError: there are none.
    """
    if not readings:
        raise ValueError("no readings")
    median = statistics.median(readings)
    spread = (max(readings) - min(readings)) / median if median else 0.0
    return Figure(
        median=_short(median),
        spread=round(spread, 3),
        readings=[_short(reading) for reading in readings],
    )


def ratio(value: Figure, base: Figure) -> float:
    """`value` / `base`: the median of the rounds' ratios, because the machine's speed drifts.

    Where the two were not measured in the same rounds, the ratio of their medians.
    """
    pairs = list(zip(value["readings"], base["readings"], strict=False))
    if len(value["readings"]) != len(base["readings"]) or not all(two for _, two in pairs):
        return value["median"] / base["median"]
    return statistics.median(one / two for one, two in pairs)


def _short(number: float) -> float:
    """Five digits, which are more than any measurement here is good for."""
    return float(f"{number:.5g}")
