"""Where the metrics of several processes live: two small files per worker slot.

`<slot>.series` names one series a line, `<slot>.values` holds one 8-byte float for each, mapped
into memory. Only the slot's worker writes them; whoever answers a scrape reads all slots and adds
them up (metric_reader.py). A worker that takes over a slot takes over its files and counts on (see
lifecycle.py), so totals are exact and there are never more files than there were workers at a time.

prometheus-client's multiprocess mode keeps the same in a format of its own, which it parses whole
at each scrape, at several times the CPU (docs/PERFORMANCE.md). Its metric classes are used as they
are; `values.ValueClass` is where the library lets others say how a number is kept.
"""

import mmap
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import orjson

FLOAT_BYTES = 8
FOLDER_PREFIX = "devops-starter-metrics-"
# Address space, not memory: a page of the file exists from the first write to it on.
MOST_SERIES = 1 << 17


class SlotFiles:
    """The files of this process's slot, open for counting."""

    def __init__(self, folder: Path, slot: int) -> None:
        # The values first: whoever reads finds slots by their series, and must then find these.
        descriptor = os.open(folder / f"{slot}.values", os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(descriptor, MOST_SERIES * FLOAT_BYTES)
        self.values = memoryview(mmap.mmap(descriptor, 0)).cast("d")
        os.close(descriptor)
        names = folder / f"{slot}.series"
        self._names = os.open(names, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        whole = names.read_bytes().rpartition(b"\n")[0]  # a line cut off by a crash never counted
        os.ftruncate(self._names, len(whole) + 1 if whole else 0)
        self.cells = {line: cell for cell, line in enumerate(whole.splitlines())}

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


def prepare(configured: str | None) -> str:
    """A folder for the metrics of this run: empty, and in memory where the system has that.

    Args:
        configured: the setting METRICS_DIR; what an earlier run has left there is removed.
    """
    if not configured:
        return tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=memory_folder())
    for pattern in ("*.series", "*.values"):
        for stale in Path(configured).glob(pattern):
            stale.unlink()
    return configured


def memory_folder() -> str | None:
    """Where files live in memory, if the system has such a place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # nosec B108
