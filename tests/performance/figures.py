"""Many readings of the same thing: their median, how far they lie apart, and ratios of medians."""

import math
import statistics
from collections.abc import Sequence
from typing import TypedDict

# Above this a pair of equals says that the machine was not quiet.
QUIET = 0.10


class Figure(TypedDict):
    """What is kept of several readings."""

    median: float
    spread: float
    """(highest - lowest) / median."""
    readings: list[float]


class Bought(TypedDict):
    """What one optimisation bought."""

    step: str
    what: str
    """What is measured, and in which unit."""
    shipped: Figure
    without: Figure


def figure(readings: Sequence[float]) -> Figure:
    """The readings' median and spread.

    Raises:
        ValueError: there are none.
    """
    if not readings:
        raise ValueError("no readings")
    median = statistics.median(readings)
    spread = (max(readings) - min(readings)) / median if median else 0.0
    return Figure(median=median, spread=spread, readings=list(readings))


def ratio(value: Figure, base: Figure) -> float:
    """How many times `base` it is, by their medians."""
    return value["median"] / base["median"]


def unquiet(one: Figure, other: Figure) -> float | None:
    """How much an A/A pair differs, where that is too much to trust small differences."""
    difference = abs(one["median"] - other["median"]) / min(one["median"], other["median"])
    return difference if difference > QUIET else None


def percentile(sorted_readings: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of readings that are sorted already."""
    if not sorted_readings:
        raise ValueError("no readings")
    rank = math.ceil(percent / 100 * len(sorted_readings))
    return sorted_readings[max(rank, 1) - 1]
