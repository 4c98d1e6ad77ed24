"""Stores the metrics of several processes: two small files for each worker slot.

`<slot>.series` names one series a line, `<slot>.values` holds one 8-byte float for each, mapped
into memory. Only the slot's worker writes them. A scrape reads all slots and adds them up
(metric_reader.py). A worker that takes over a slot continues in its files (server/lifecycle.py), so
totals are exact and the number of files is bounded by the number of workers. `<slot>.reports` says
what of it is in Redis (app/services/worker_counts.py).

prometheus-client's own multiprocess mode parses files of dead workers at every scrape, at several
times the CPU (docs/PERFORMANCE.md). Its metric classes are used as they are; `values.ValueClass` is
the library's hook for how a number is stored.
"""

import mmap
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import orjson
import prometheus_client.samples as library

from app.utils.exemplar_store import Exemplar, Exemplars

FLOAT_BYTES = 8
FOLDER_PREFIX = "devops-starter-metrics-"
# Address space, not memory: a page of the file exists from the first write to it on.
MAX_SERIES = 1 << 17


class Cells:
    """Numbers of this process by series: in the files of its slot, without a folder in memory."""

    def __init__(self, folder: Path | None = None, slot: int = 0) -> None:
        # In its own memory a process has a number for each metric object, even of the same name.
        self.by_line: dict[bytes, int] = {}
        self.lines: list[bytes] = []
        self.exemplars = Exemplars(MAX_SERIES, folder, slot)
        self._names: int | None = None
        self.reports = folder and folder / f"{slot}.reports"
        if folder is None:
            self.values = memoryview(mmap.mmap(-1, MAX_SERIES * FLOAT_BYTES)).cast("d")
            return
        # The values first: readers find slots by their series files and then need the values.
        descriptor = os.open(folder / f"{slot}.values", os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(descriptor, MAX_SERIES * FLOAT_BYTES)
        self.values = memoryview(mmap.mmap(descriptor, 0)).cast("d")
        os.close(descriptor)
        names = folder / f"{slot}.series"
        self._names = os.open(names, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        whole = names.read_bytes().rpartition(b"\n")[0]  # a line cut off by a crash never counted
        os.ftruncate(self._names, len(whole) + 1 if whole else 0)
        self.lines = whole.splitlines()
        self.by_line = {line: cell for cell, line in enumerate(self.lines)}

    def cell(self, line: bytes) -> int:
        """The index in `values` of this series' number."""
        cell = self.by_line.get(line)
        if cell is None:
            cell = len(self.lines)
            if cell == MAX_SERIES:
                raise ValueError(f"more than {MAX_SERIES} series: a label without bounds")
            self.lines.append(line)
            if self._names is not None:
                os.write(self._names, line + b"\n")
                self.by_line[line] = cell
        return cell


class SharedValue:
    """A number as prometheus-client wants it, kept in `Cells`."""

    _multiprocess = True  # part of the library's interface for such classes
    lock = threading.Lock()
    cells = Cells()
    values = cells.values  # an access through `cells` would cost more
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
        self.marked_at = float("-inf")  # when it got an exemplar
        self.line = orjson.dumps([typ, multiprocess_mode, metric_name, name, *labels, help_text])
        with self.lock:
            self.cell = self.cells.cell(self.line)
            self.instances.append(self)

    @classmethod
    def enter(cls, cells: Cells) -> None:
        """Count in `cells` from now on: after a fork the worker has a slot of its own."""
        with cls.lock:
            cls.cells, cls.values = cells, cells.values
            for value in cls.instances:
                value.cell = cells.cell(value.line)

    def inc(self, amount: float) -> None:
        with self.lock:
            self.values[self.cell] += amount

    def set(self, value: float, **_: Any) -> None:
        """Take `value`. Timestamps are not stored."""
        self.values[self.cell] = value

    def get(self) -> float:
        found: float = self.values[self.cell]
        return found

    def set_exemplar(self, exemplar: library.Exemplar) -> None:
        """Keep the IDs of the trace that `exemplar` names."""
        ids, time = exemplar.labels, exemplar.timestamp or 0.0
        kept = Exemplar(float(time), ids["trace_id"], ids["span_id"], exemplar.value)
        with self.lock:
            self.cells.exemplars.put(self.cell, kept)

    def get_exemplar(self) -> library.Exemplar | None:
        found = self.cells.exemplars.get(self.cell)
        if found is None:
            return None
        ids = {"trace_id": found.trace_id, "span_id": found.span_id}
        return library.Exemplar(ids, found.value, found.timestamp)


def prepare(configured: str | None) -> Path:
    """The folder METRICS_DIR, cleared of an earlier run, else a new one, in memory if possible."""
    if not configured:
        return Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=memory_folder()))
    for pattern in ("*.series", "*.values", "*.reports", "*.exemplars"):
        for stale in Path(configured).glob(pattern):
            stale.unlink()
    return Path(configured)


def memory_folder() -> str | None:
    """A folder whose files live in memory, if the system has one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # nosec B108
