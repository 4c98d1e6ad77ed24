"""Where the metrics of several processes live: two small files per worker slot.

`<slot>.series` names one series a line, `<slot>.values` holds one 8-byte float for each, mapped
into memory. Only the slot's worker writes them; whoever answers a scrape reads all slots and adds
them up. A worker that takes over a slot takes over its files and counts on (see lifecycle.py), so
totals are exact and there are never more files than there were workers at a time.

prometheus-client's multiprocess mode keeps the same in a format of its own, which it parses whole
at each scrape: ten times the CPU (docs/PERFORMANCE.md). Its metric classes are used as they are;
`values.ValueClass` is where the library lets others say how a number is kept.
"""

import mmap
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

FLOAT_BYTES = 8
# Address space, not memory: a page of the file exists from the first write to it on.
MOST_SERIES = 1 << 17


@dataclass(frozen=True, slots=True, eq=False)  # one object per line: told apart by identity
class Series:
    """One line of a series file, understood."""

    kind: str
    """`counter`, `gauge` or `histogram`."""
    merge: str
    """For gauges prometheus-client's `multiprocess_mode`; this store knows `livesum`, `livemax`."""
    family: str
    name: str
    labels: tuple[tuple[str, str], ...]
    help: str

    @classmethod
    def parse(cls, line: bytes) -> "Series":
        """The series that a line names."""
        kind, merge, family, name, names, values, text = orjson.loads(line)
        return cls(kind, merge, family, name, tuple(zip(names, values)), text)


class SlotFiles:
    """The files of this process's slot, open for counting."""

    def __init__(self, folder: Path, slot: int) -> None:
        names = folder / f"{slot}.series"
        self._names = os.open(names, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        whole = names.read_bytes().rpartition(b"\n")[0]  # a line cut off by a crash never counted
        os.ftruncate(self._names, len(whole) + 1 if whole else 0)
        self.cells = {line: cell for cell, line in enumerate(whole.splitlines())}
        descriptor = os.open(folder / f"{slot}.values", os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(descriptor, MOST_SERIES * FLOAT_BYTES)
        self.values = memoryview(mmap.mmap(descriptor, 0)).cast("d")
        os.close(descriptor)

    def cell(self, line: bytes) -> int:
        """Where in `values` the number of this series stands."""
        cell = self.cells.get(line)
        if cell is None:
            if len(self.cells) == MOST_SERIES:
                raise ValueError(f"more than {MOST_SERIES} series: a label without bounds")
            os.write(self._names, line + b"\n")
            cell = self.cells[line] = len(self.cells)
        return cell


class SharedValue:
    """A number as prometheus-client wants it, kept in the slot's files."""

    _multiprocess = True  # part of the library's interface for such classes
    lock = threading.Lock()
    files: SlotFiles
    values: "memoryview[float]"  # of `files`; here because each access through `files` costs
    instances: list["SharedValue"] = []

    def __init__(  # pylint: disable=too-many-arguments,too-many-positional-arguments
        self,
        typ: str,
        metric_name: str,
        name: str,
        labelnames: tuple[str, ...],
        labelvalues: tuple[str, ...],
        help_text: str,
        multiprocess_mode: str = "",
        **_: Any,
    ) -> None:
        labels = list(labelnames), list(labelvalues)
        self.line = orjson.dumps([typ, multiprocess_mode, metric_name, name, *labels, help_text])
        with self.lock:
            self.cell = self.files.cell(self.line)
            self.instances.append(self)

    @classmethod
    def enter(cls, files: SlotFiles) -> None:
        """Count in `files` from now on: after a fork the worker has a slot of its own."""
        with cls.lock:
            cls.files, cls.values = files, files.values
            for value in cls.instances:
                value.cell = files.cell(value.line)

    def inc(self, amount: float) -> None:
        """Add `amount`."""
        with self.lock:
            self.values[self.cell] += amount

    def set(self, value: float, **_: Any) -> None:
        """Take `value`; the store keeps no timestamps."""
        self.values[self.cell] = value

    def get(self) -> float:
        """What this slot has counted."""
        found: float = self.values[self.cell]
        return found

    def set_exemplar(self, exemplar: Any) -> None:
        """Exemplars are not kept."""

    def get_exemplar(self) -> None:
        """None: exemplars are not kept."""


class SlotReader(Collector):
    """All slots as one. What a series line means is worked out once, not at each scrape."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[bytes, Series] = {}
        self._read: dict[int, tuple[int, list[Series]]] = {}

    def collect(self) -> Iterator[Metric]:
        """The families, read now."""
        totals: dict[Series, float] = {}
        with self._lock:
            for path in self._folder.glob("*.series"):
                for series, value in self._slot(int(path.stem)):
                    if series.merge == "livemax":
                        totals[series] = max(totals.get(series, value), value)
                    else:
                        totals[series] = totals.get(series, 0.0) + value
        yield from _families(totals)

    def end_gauges(self, slot: int) -> None:
        """Take what a worker that is gone says of the present out of the sum."""
        with self._lock, (self._folder / f"{slot}.values").open("r+b", buffering=0) as values:
            for cell, (series, _) in enumerate(self._slot(slot)):
                if series.kind == "gauge":
                    os.pwrite(values.fileno(), bytes(FLOAT_BYTES), cell * FLOAT_BYTES)

    def _slot(self, slot: int) -> Iterator[tuple[Series, float]]:
        """Series and values of one slot; lines that were read before are not read again."""
        offset, series = self._read.get(slot, (0, []))
        with (self._folder / f"{slot}.series").open("rb") as names:
            names.seek(offset)
            news, newline, _ = names.read().rpartition(b"\n")
        for line in news.splitlines():
            known = self._known.get(line)
            if known is None:
                known = self._known[line] = Series.parse(line)
            series.append(known)
        self._read[slot] = offset + len(news) + len(newline), series
        with (self._folder / f"{slot}.values").open("rb") as values:
            numbers = memoryview(values.read(len(series) * FLOAT_BYTES)).cast("d")
        return zip(series, numbers)


def _families(totals: dict[Series, float]) -> Iterator[Metric]:
    families: dict[str, Metric] = {}
    buckets: dict[tuple[str, tuple[tuple[str, str], ...]], dict[float, float]] = defaultdict(dict)
    for series, value in totals.items():
        family = families.get(series.family)
        if family is None:
            family = families[series.family] = Metric(series.family, series.help, series.kind)
        if series.name.endswith("_bucket"):
            *others, (_, edge) = series.labels  # prometheus-client puts `le` last
            buckets[series.family, tuple(others)][float(edge)] = value
        else:
            family.add_sample(series.name, dict(series.labels), value)
    for (name, labels), counts in buckets.items():
        up_to = 0.0
        for limit in sorted(counts):
            up_to += counts[limit]
            le = {"le": floatToGoString(limit)}  # type: ignore[no-untyped-call]
            families[name].add_sample(f"{name}_bucket", dict(labels) | le, up_to)
        families[name].add_sample(f"{name}_count", dict(labels), up_to)
    yield from families.values()


def clear(folder: Path) -> None:
    """Remove what an earlier run has left."""
    for pattern in ("*.series", "*.values"):
        for stale in folder.glob(pattern):
            stale.unlink()
