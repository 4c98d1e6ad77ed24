"""Numbers of several processes, kept in files by slot and read as one."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, exposition, values
from prometheus_client.openmetrics import exposition as openmetrics

from app.utils import metric_store
from app.utils.metric_reader import SlotReader
from app.utils.metric_store import Cells, SharedValue

IDS = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}


@pytest.fixture(autouse=True)
def _shared(tmp_path: Path) -> Iterator[None]:
    """Metrics made in the test are kept in files; those of the application stay as they are."""
    former, cells = SharedValue.instances, SharedValue.cells
    SharedValue.instances = []
    enter(tmp_path, 1)
    yield
    values.ValueClass, SharedValue.instances = SharedValue, former
    # Not entered: in memory, that would give each of the application's a second number.
    SharedValue.cells, SharedValue.values = cells, cells.values


def enter(folder: Path, slot: int) -> None:
    SharedValue.enter(Cells(folder, slot))


def read(folder: Path, reader: SlotReader | None = None) -> dict[str, float]:
    lines = (reader or SlotReader(folder)).text(openmetrics=False).decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def counter(*labels: str) -> Counter:
    return Counter("things", "Things.", labels, registry=CollectorRegistry())


def test_slots_are_added_up_and_a_successor_counts_on(tmp_path: Path) -> None:
    things, reader = counter("kind"), SlotReader(tmp_path)
    things.labels("a").inc()
    assert read(tmp_path, reader) == {'things_total{kind="a"}': 1.0}
    enter(tmp_path, 2)
    things.labels("a").inc(2)
    things.labels("b").inc(5)  # a series that comes between two scrapes
    enter(tmp_path, 1)  # the worker that takes over the first slot
    things.labels("a").inc(10)

    expected = {'things_total{kind="a"}': 13.0, 'things_total{kind="b"}': 5.0}
    assert read(tmp_path, reader) == read(tmp_path) == expected


def test_a_number_survives_its_process_and_a_line_that_a_crash_has_cut_off(tmp_path: Path) -> None:
    counter().inc(7)
    with (tmp_path / "1.series").open("ab") as names:
        names.write(b'["counter","","thi')
    SharedValue.instances = []
    enter(tmp_path, 1)
    counter("kind").labels("new").inc()
    counter().inc()

    assert read(tmp_path) == {"things_total": 8.0, 'things_total{kind="new"}': 1.0}


def test_buckets_are_cumulative_and_their_count_is_the_last(tmp_path: Path) -> None:
    seconds = Histogram("s", "S.", ["r"], buckets=(1, 2, 10), registry=CollectorRegistry())
    for slot in (1, 2):
        enter(tmp_path, slot)
        for value in (0.5, 1.5, 20):
            seconds.labels("x").observe(value)

    assert read(tmp_path) == {
        's_bucket{le="1.0",r="x"}': 2.0,
        's_bucket{le="2.0",r="x"}': 4.0,
        's_bucket{le="10.0",r="x"}': 4.0,
        's_bucket{le="+Inf",r="x"}': 6.0,
        's_count{r="x"}': 6.0,
        's_sum{r="x"}': 44.0,
    }


def test_gauges_are_merged_as_they_ask_and_end_with_their_worker(tmp_path: Path) -> None:
    def gauge(mode: Any) -> Gauge:
        return Gauge(mode, "G.", registry=CollectorRegistry(), multiprocess_mode=mode)

    busy, worst, things = gauge("livesum"), gauge("livemax"), counter()
    for slot in (1, 2):
        enter(tmp_path, slot)
        busy.set(slot)
        worst.set(slot)
        things.inc()
    reader = SlotReader(tmp_path)
    assert read(tmp_path, reader) == {"livesum": 3.0, "livemax": 2.0, "things_total": 2.0}

    reader.end_gauges(2)
    reader.end_gauges(3)  # it ended before it could count

    assert read(tmp_path, reader) == {"livesum": 1.0, "livemax": 1.0, "things_total": 2.0}


def test_a_scrape_may_come_between_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counter().inc()
    scrapes: list[dict[str, float]] = []

    def opened(*arguments: Any) -> int:
        descriptor = original(*arguments)
        scrapes.append(read(tmp_path))
        return descriptor

    original = os.open
    monkeypatch.setattr(os, "open", opened)
    Cells(tmp_path, 2)

    assert scrapes == [{"things_total": 1.0}] * 2


def test_a_label_without_bounds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_store, "MAX_SERIES", 4)
    enter(tmp_path, 3)
    things = counter("kind")
    with pytest.raises(ValueError, match="more than 4 series: a label without bounds"):
        for kind in range(5):
            things.labels(str(kind))


def test_an_earlier_runs_files_are_cleared(tmp_path: Path) -> None:
    counter().inc()
    (tmp_path / "other").touch()
    assert metric_store.prepare(str(tmp_path)) == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


@pytest.mark.parametrize("encoder", [exposition, openmetrics], ids=["text", "openmetrics"])
def test_the_text_is_what_the_library_itself_writes(
    tmp_path: Path, encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(registry: CollectorRegistry) -> None:
        things = Counter("things", 'Odd "text" \\ here.', ["b", "a"], registry=registry)
        things.labels('quote " back \\ line \n', "\u00e9").inc(1234567)
        things.labels("small", "x").inc(0.00001)
        Gauge("level", "L.", registry=registry, multiprocess_mode="livesum").set(-2.5)
        seconds = Histogram("seconds", "S.", ["r"], registry=registry)
        for value in (0.004, 0.3, 99):
            seconds.labels("/").observe(value, IDS if value == 0.3 else None)

    monkeypatch.setattr("time.time", lambda: 1_800_000_000.25)
    fill(CollectorRegistry())
    ours = SlotReader(tmp_path).text(encoder is openmetrics).decode().splitlines()
    values.ValueClass = values.MutexValue
    alone = CollectorRegistry()
    fill(alone)
    theirs = encoder.generate_latest(alone).decode().splitlines()

    # Times of creation are not kept, see metrics.py.
    theirs = [line for line in theirs if "_created" not in line and line != "# EOF"]
    assert ours == theirs
    assert (" # {" in "".join(ours)) == (encoder is openmetrics)


def exemplars(folder: Path) -> dict[str, str]:
    """By bucket."""
    lines = SlotReader(folder).text(openmetrics=True).decode().splitlines()
    found = (line.split(" # ") for line in lines if " # " in line and not line.startswith("#"))
    return {bucket.rpartition(" ")[0]: exemplar for bucket, exemplar in found}


def test_of_each_bucket_the_latest_exemplar_of_all_slots_is_shown_and_outlives_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = Histogram("s", "S.", buckets=(1, 2), registry=CollectorRegistry())
    for slot, now, value in ((1, 10.0, 0.5), (2, 30.0, 0.25), (3, 20.0, 0.75), (1, 5.0, 1.5)):
        enter(tmp_path, slot)
        monkeypatch.setattr("time.time", lambda now=now: now)
        seconds.observe(value, IDS)
    enter(tmp_path, 2)

    ids = f'{{span_id="{IDS["span_id"]}",trace_id="{IDS["trace_id"]}"}}'
    assert exemplars(tmp_path) == {
        's_bucket{le="1.0"}': f"{ids} 0.25 30.0",
        's_bucket{le="2.0"}': f"{ids} 1.5 5.0",
    }


def test_an_exemplar_that_is_being_written_is_not_shown(tmp_path: Path) -> None:
    seconds = Histogram("s", "S.", buckets=(1,), registry=CollectorRegistry())
    seconds.observe(0.5, IDS)
    file = tmp_path / "1.exemplars"
    records = bytearray(file.read_bytes())
    at = next(place for place, byte in enumerate(records) if byte)
    records[at : at + 8] = struct.pack("=d", 1.0)  # the time before, at the end is the new one
    file.write_bytes(records)

    assert not exemplars(tmp_path)
    assert read(tmp_path)['s_bucket{le="1.0"}'] == 1.0


def test_a_single_process_keeps_exemplars_in_memory() -> None:
    SharedValue.enter(Cells())
    seconds = Histogram("s", "S.", buckets=(1,), registry=(registry := CollectorRegistry()))
    seconds.observe(0.5, IDS)
    encode: Any = openmetrics.generate_latest
    assert IDS["trace_id"] in encode(registry).decode()
    assert IDS["trace_id"] not in exposition.generate_latest(registry).decode()
