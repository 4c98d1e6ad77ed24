"""Reads what all worker slots have counted (metric_store.py), as the text that Prometheus reads.

The name and labels of a series are rendered once, when it is first seen. A scrape adds up numbers
and writes them after the finished text.
"""

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from prometheus_client.utils import floatToGoString

from app.utils import exemplar_store
from app.utils.exemplar_store import Exemplar
from app.utils.metric_store import FLOAT_BYTES

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Histogram:
    """One set of labels of a histogram."""

    total: str
    """Text before its number of observations."""
    sum: tuple[str, int] | None = None
    buckets: list[tuple[float, str, int]] = field(default_factory=list)
    """Upper limit, text before the number, index; by limit."""


@dataclass(slots=True)
class _Family:
    """A metric with all its series."""

    kind: str
    help: str
    series: list[tuple[str, int]] = field(default_factory=list)
    """Text before the number, and index."""
    histograms: dict[Labels, _Histogram] = field(default_factory=dict)


@dataclass(slots=True)
class _Slot:
    """The part of a slot's series that was read so far."""

    offset: int = 0
    indices: list[int] = field(default_factory=list)


class SlotReader:
    """Reads the slots in `folder`; threads may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._slots: dict[int, _Slot] = {}
        self._indices: dict[bytes, int] = {}
        self._families: dict[str, _Family] = {}
        self._gauges: set[int] = set()
        self._largest: set[int] = set()  # merged by the largest and not by the sum

    def text(self, openmetrics: bool) -> bytes:
        """All slots as one, without the end mark of OpenMetrics."""
        with self._lock:
            totals = self._totals()
            exemplars = self._exemplars() if openmetrics else {}
            lines = [
                line
                for name, family in self._families.items()
                for line in _rendered(name, family, totals, exemplars, openmetrics)
            ]
        return "".join(lines).encode()

    def end_gauges(self, slot: int) -> None:
        """Set the gauges of a worker that is gone to zero."""
        if not (self._folder / f"{slot}.series").exists():
            return  # it was stopped before it had opened its files
        with self._lock, (self._folder / f"{slot}.values").open("r+b", buffering=0) as values:
            for cell, index in enumerate(self._read(slot).indices):
                if index in self._gauges:
                    os.pwrite(values.fileno(), bytes(FLOAT_BYTES), cell * FLOAT_BYTES)

    def _totals(self) -> list[float]:
        slots = {int(path.stem) for path in self._folder.glob("*.series")}
        read = [(slot, self._read(slot).indices) for slot in sorted(slots)]
        totals = [0.0] * len(self._indices)
        for slot, indices in read:
            with (self._folder / f"{slot}.values").open("rb") as values:
                numbers = memoryview(values.read(len(indices) * FLOAT_BYTES)).cast("d")
            for index, number in zip(indices, numbers):
                if index in self._largest:
                    totals[index] = max(totals[index], number)
                else:
                    totals[index] += number
        return totals

    def _exemplars(self) -> dict[int, Exemplar]:
        """The latest exemplar of each series that has one; after `_totals`."""
        latest: dict[int, Exemplar] = {}
        for slot, read in self._slots.items():
            for cell, exemplar in exemplar_store.read(self._folder, slot, len(read.indices)):
                index = read.indices[cell]
                latest[index] = max(exemplar, latest.get(index, exemplar))
        return latest

    def _read(self, number: int) -> _Slot:
        """A slot with all its series. Lines are read once."""
        slot = self._slots.setdefault(number, _Slot())
        with (self._folder / f"{number}.series").open("rb") as names:
            names.seek(slot.offset)
            news, newline, _ = names.read().rpartition(b"\n")
        slot.offset += len(news) + len(newline)
        for line in news.splitlines():
            index = self._indices.get(line)
            if index is None:
                index = self._indices[line] = len(self._indices)
                self._add(line, index)
            slot.indices.append(index)
        return slot

    def _add(self, line: bytes, index: int) -> None:
        kind, merge, metric, name, names, values, text = orjson.loads(line)
        family = self._families.setdefault(metric, _Family(kind, text))
        labels: Labels = tuple(zip(names, values))
        if kind == "gauge":
            self._gauges.add(index)
        if merge == "livemax":
            self._largest.add(index)
        if kind != "histogram":
            family.series.append((_before(name, labels), index))
            return
        others = tuple(label for label in labels if label[0] != "le")
        found = family.histograms.setdefault(others, _Histogram(_before(f"{metric}_count", others)))
        if name.endswith("_sum"):
            found.sum = (_before(name, labels), index)
        else:
            found.buckets.append((float(dict(labels)["le"]), _before(name, labels), index))
            found.buckets.sort()


def _before(name: str, labels: Labels) -> str:
    if not labels:
        return f"{name} "
    inner = ",".join(f'{label}="{_escaped(value)}"' for label, value in sorted(labels))
    return f"{name}{{{inner}}} "


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _rendered(
    name: str,
    family: _Family,
    totals: list[float],
    exemplars: dict[int, Exemplar],
    openmetrics: bool,
) -> list[str]:
    # Prometheus's own format names a counter as its series are named, OpenMetrics without `_total`.
    shown = f"{name}_total" if family.kind == "counter" and not openmetrics else name
    help_text = _escaped(family.help) if openmetrics else family.help.replace("\\", "\\\\")
    lines = [f"# HELP {shown} {help_text}\n", f"# TYPE {shown} {family.kind}\n"]
    lines += [f"{before}{_number(totals[index])}\n" for before, index in family.series]
    for histogram in family.histograms.values():
        up_to = 0.0
        for _, before, index in histogram.buckets:
            up_to += totals[index]
            exemplar = exemplars.get(index)
            lines.append(
                f"{before}{_number(up_to)} # {exemplar.text()}\n"
                if exemplar
                else f"{before}{_number(up_to)}\n"
            )
        lines.append(f"{histogram.total}{_number(up_to)}\n")
        if histogram.sum:
            before, index = histogram.sum
            lines.append(f"{before}{_number(totals[index])}\n")
    return lines


def _number(value: float) -> str:
    if 1e-4 < value < 1e6 or value == 0:
        return repr(value)  # the same text, in less time
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]
    return text
