"""Exemplars, for each series that has one: the trace of a request that it has counted.

A file for each worker slot beside those of metric_store.py, made when the first request is traced.
It has a record for each series of the slot, by the same index; most are empty and take no space.
"""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from prometheus_client.utils import floatToGoString

# The time is stored at both ends, the last one first: a reader that finds two times has met a
# record that was being written.
_TIME = Struct("=d")
_CONTENT = Struct("=16s8sd")
_RECORD = Struct("=d16s8sdd")
_END = _RECORD.size - _TIME.size


class Exemplar(NamedTuple):
    """What one request adds to a bucket."""

    timestamp: float
    """Seconds since 1970."""
    trace_id: str
    span_id: str
    value: float

    def text(self) -> str:
        """As OpenMetrics has it, without the mark before it."""
        ids = f'span_id="{self.span_id}",trace_id="{self.trace_id}"'
        value: str = floatToGoString(self.value)  # type: ignore[no-untyped-call]
        return f"{{{ids}}} {value} {self.timestamp}"


class Exemplars:
    """Those of this process: in the file of its slot, without a folder in memory."""

    def __init__(self, series: int, folder: Path | None = None, slot: int = 0) -> None:
        self._size = series * _RECORD.size
        self._path = folder and _path(folder, slot)
        self._records: mmap.mmap | None = None

    def put(self, cell: int, exemplar: Exemplar) -> None:
        """Keep it as the last one of a series. One thread at a time."""
        if self._records is None:
            self._records = self._opened()
        at, time = cell * _RECORD.size, exemplar.timestamp
        ids = bytes.fromhex(exemplar.trace_id), bytes.fromhex(exemplar.span_id)
        _TIME.pack_into(self._records, at + _END, time)
        _CONTENT.pack_into(self._records, at + _TIME.size, *ids, exemplar.value)
        _TIME.pack_into(self._records, at, time)

    def get(self, cell: int) -> Exemplar | None:
        """The last one of a series, if it has one."""
        return _unpacked(self._records, cell) if self._records else None

    def _opened(self) -> mmap.mmap:
        if self._path is None:
            return mmap.mmap(-1, self._size)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(descriptor, self._size)
        records = mmap.mmap(descriptor, self._size)
        os.close(descriptor)
        return records


def read(folder: Path, slot: int, series: int) -> Iterator[tuple[int, Exemplar]]:
    """Index and exemplar of those of a slot's first `series` series that have one."""
    try:
        with _path(folder, slot).open("rb") as file:
            records = file.read(series * _RECORD.size)
    except FileNotFoundError:
        return
    # Most series have none, and a scrape has thousands.
    times = memoryview(records).cast("d")[:: _RECORD.size // _TIME.size].tolist()
    for cell, time in enumerate(times):
        if time and (exemplar := _unpacked(records, cell)):
            yield cell, exemplar


def _unpacked(records: bytes | mmap.mmap, cell: int) -> Exemplar | None:
    time, trace_id, span_id, value, same_time = _RECORD.unpack_from(records, cell * _RECORD.size)
    if not time or time != same_time:
        return None
    return Exemplar(time, trace_id.hex(), span_id.hex(), value)


def _path(folder: Path, slot: int) -> Path:
    return folder / f"{slot}.exemplars"
