"""What this worker has counted, to be added up in Redis: each count once, whatever is killed.

The numbers are those of the metrics, in memory that outlives a killed worker (metric_store.py). A
worker that takes over a slot reports what its predecessor could not. A report has a number and is
stored before it is sent: if its answer is missing, the same report is sent again, and Redis ignores
one that it has (stats.py).
"""

import secrets
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from app.utils import metrics
from app.utils.metric_store import FLOAT_BYTES, Cells, SharedValue

# Most series do not change between two reports: so many bytes are compared at a time.
CHUNK_BYTES = 64 * FLOAT_BYTES

_DURATION = f"{metrics.series_name(metrics.DURATION)}_bucket"
_LOOKUPS = metrics.series_name(metrics.CACHE_REQUESTS)
_OF_LOOKUP = {
    (operation, result): (f"cache|{counted}",)
    for operation in ("get", "get_or_set")
    for result, counted in (("hit", "hits"), ("miss", "misses"))
}


@dataclass(frozen=True, slots=True)
class Report:
    """Counts to add, by their names in Redis (aggregation.py)."""

    source: str
    """Random; reports of one source are numbered from 1."""
    number: int
    counts: dict[str, int]


class WorkerCounts:
    """The reports of this process. Not for two threads at a time."""

    def __init__(self) -> None:
        self._open(SharedValue.cells)
        if self._file is None:
            # Counted by another application in this process.
            self._reported = self._totals.now()

    def _open(self, cells: Cells) -> None:
        self._totals = _Totals(cells)
        self._file = cells.reports
        self._last = Report(secrets.token_hex(8), 0, {})
        self._reported = Counter[str]()
        self._received = True
        if self._file and self._file.exists():
            stored = orjson.loads(self._file.read_bytes())
            self._last, self._reported = Report(**stored["last"]), Counter(stored["reported"])
            self._received = False

    def reports(self) -> Iterator[Report]:
        """First the report without an answer, if any, then what was counted since.

        A report counts as received when the next one is asked for.
        """
        if self._totals.cells is not SharedValue.cells:
            self._open(SharedValue.cells)  # after a fork
        if not self._received:
            yield self._last
            self._received = True
        totals = self._totals.now()
        new = totals - self._reported
        if new:
            self._last = Report(self._last.source, self._last.number + 1, new)
            self._reported, self._received = totals, False
            self._store()
            yield self._last
            self._received = True

    def _store(self) -> None:
        if self._file:
            temporary = self._file.with_suffix(".new")
            temporary.write_bytes(orjson.dumps({"reported": self._reported, "last": self._last}))
            temporary.rename(self._file)


class _Totals:
    """What a slot has counted in all, by names; only series that have changed are looked at."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self._names: list[tuple[str, ...]] = []
        self._former = b""
        self._counted = Counter[str]()

    def now(self) -> Counter[str]:
        self._names += map(_names, self.cells.lines[len(self._names) :])
        size = len(self._names) * FLOAT_BYTES
        now = bytes(self.cells.values.cast("B")[:size])
        former = self._former.ljust(size, b"\0")
        for start in range(0, size, CHUNK_BYTES):
            chunk = slice(start, start + CHUNK_BYTES)
            if now[chunk] == former[chunk]:
                continue
            pairs = zip(memoryview(now[chunk]).cast("d"), memoryview(former[chunk]).cast("d"))
            for cell, (new, old) in enumerate(pairs, start // FLOAT_BYTES):
                for name in self._names[cell]:
                    self._counted[name] += int(new - old)
        self._former = now
        return self._counted.copy()


def _names(line: bytes) -> tuple[str, ...]:
    """What a series counts for; nothing, if /stats does not show it."""
    _kind, _mode, _metric, name, label_names, label_values, _help = orjson.loads(line)
    labels = dict(zip(label_names, label_values))
    if name == _LOOKUPS:
        return _OF_LOOKUP.get((labels["operation"], labels["result"]), ())
    if name != _DURATION:
        return ()
    bucket = bisect_left(metrics.DURATION_BUCKETS, float(labels["le"]))
    counted = f"{labels['route']}|b{bucket}", f"{labels['route']}|errors"
    return counted if labels["status_class"] == "5xx" else counted[:1]
