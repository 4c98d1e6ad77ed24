"""As many cores as the cgroup allows, in both versions of cgroups."""

import os
from pathlib import Path

import pytest

from app.server.cpu_limit import cpu_limit

QUOTA, PERIOD = "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"


@pytest.mark.parametrize(
    ("files", "cores"),
    [({}, 8), ({"cpu.max": "max 100000"}, 8), ({"cpu.max": "250000 100000"}, 2)]
    + [({"cpu.max": "20000 100000"}, 1), ({"cpu.max": "1600000 100000"}, 8)]
    + [({QUOTA: "-1", PERIOD: "100000"}, 8), ({QUOTA: "300000", PERIOD: "100000"}, 3)]
    + [({QUOTA: "300000"}, 8)],
)
def test_the_limit_counts_where_it_is_below_the_machines_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n", encoding="ascii")
    assert cpu_limit(tmp_path) == cores


def test_on_macos_the_machines_cores_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cpu_limit(tmp_path) == 6
