"""The bench's arithmetic, its page, and that its changes to nginx's files still apply."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.lib import nginx_dump
from tests.performance import bench, machine, measurements, proxy, run
from tests.performance.capacity import parse
from tests.performance.machine import cores
from tests.performance.targets import (
    AGAINST,
    MEASURES,
    TARGETS,
    Figures,
    Target,
    figure,
    noise,
    ratio,
    table,
)
from tests.performance.variants import Stage

WRK = """Running 2s test @ http://127.0.0.1:8000/api/v1/info
  1 threads and 32 connections
  2000 requests in 2.00s, 3.11MB read
{extra}Requests/sec:   1000.50
Transfer/sec:      1.55MB
"""


def figures(**of: float) -> Figures:
    return {"redis": {name: figure([median]) for name, median in of.items()}}


def test_a_figure_keeps_median_and_spread() -> None:
    assert figure([10, 30, 20]) == {"median": 20, "spread": 1.0, "readings": [10, 30, 20]}


def test_a_ratio_compares_readings_of_the_same_round() -> None:
    """The machine slowed down after the first round: the ratio stays."""
    assert ratio(figure([20, 10, 10]), figure([10, 5, 5])) == 2.0
    assert ratio(figure([30]), figure([10, 20])) == 2.0


def test_wrk_tells_requests_a_second() -> None:
    assert parse(WRK.format(extra="")) == 1000.5


def test_a_few_failed_requests_are_tolerated_and_many_are_not() -> None:
    assert parse(WRK.format(extra="  Non-2xx or 3xx responses: 20\n")) == 1000.5
    for line in (
        "Non-2xx or 3xx responses: 21",
        "Socket errors: connect 0, read 9, write 0, timeout 20",
    ):
        with pytest.raises(RuntimeError, match="too many failed"):
            parse(WRK.format(extra=f"  {line}\n"))


def test_the_service_has_its_cores_to_itself_where_there_are_enough() -> None:
    assert "service on core 0,1; nginx and Redis on 2, load on 3" == str(cores({0, 1, 2, 3}))
    assert "service on core 4; nginx and Redis on 6, load on 6 (shared)" == str(cores({4, 6}))
    assert "one core only" in str(cores({0}))


def test_an_error_about_missing_programs_names_their_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)

    with pytest.raises(RuntimeError, match="apt-get install wrk redis-server$"):
        machine.check_programs("wrk", "redis-server")


@pytest.mark.parametrize("target", [*TARGETS, *AGAINST], ids=str)
def test_every_target_has_a_measure_and_a_bound(target: Target) -> None:
    assert target.measure in MEASURES
    assert re.fullmatch(r"[≥≤] [\d.]+", target.bound)


@pytest.mark.parametrize(
    ("bound", "met"),
    [("≥ 2", {19: False, 20: True, 21: True}), ("≤ 2", {19: True, 20: True, 21: False})],
)
def test_a_bound_is_met_at_its_value(bound: str, met: dict[int, bool]) -> None:
    for value, ok in met.items():
        verdict = Target("redis", "ours", "before", bound).verdict(figures(ours=value, before=10))
        assert (verdict["value"], verdict["target"], verdict["ok"]) == (value / 10, bound, ok)


def test_a_target_that_was_not_measured_is_not_met() -> None:
    verdict = Target("redis", "ours", "fastapi", "≥ 1").verdict(figures(ours=1))

    assert verdict["value"] is None and not verdict["ok"]


def test_the_table_shows_what_flask_alone_reaches() -> None:
    measured = figures(ours=12, tutorial=10, bare=15)
    targets = [target.verdict(measured) for target in TARGETS]
    result = {"figures": measured, "targets": targets}

    rows = table(result).splitlines()

    assert re.search(
        r"\| ours / tutorial +\| 12 / 10 +\| 1\.20 +\| ≥ 2 +\| no +\| 1\.50 +\|$", rows[2]
    )
    assert len({len(row) for row in rows}) == 1


def test_the_noise_is_the_difference_of_the_pair_of_equals() -> None:
    assert noise(figures(**{"ours": 100, "ours again": 80})) == pytest.approx(0.2)
    assert noise(figures(ours=100)) is None


def test_a_section_that_fails_keeps_the_figures_of_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def prepared(*, quick: bool, against: Path | None) -> Iterator[run.Run]:
        yield run.Run(Stage(tmp_path, "redis://nowhere", cores({0})), quick=quick, against=against)

    def fail(_run: run.Run) -> None:
        raise RuntimeError("nothing answers")

    monkeypatch.setattr(run, "prepared", prepared)
    monkeypatch.setattr(measurements, "start", lambda _: {"start": {"ours": figure([1.0])}})
    monkeypatch.setattr(measurements, "memory", fail)
    options = bench.parse(["--quick", "--only", "memory,start", "--json", str(tmp_path / "json")])

    bench.publish(options, bench.measure(options))

    written = json.loads((tmp_path / "json").read_text(encoding="utf-8"))
    assert written["figures"] == {"start": {"ours": figure([1.0])}}
    assert "memory: could not be measured: nothing answers" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--only", "speed"],
        ["--against", "/no/such/folder"],
        ["--against", str(machine.MEMORY)],
        ["--docs", "--only", "start"],
    ],
)
def test_a_wrong_option_ends_with_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.parse(arguments)

    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_the_page_shows_the_table_of_the_last_run() -> None:
    result = json.loads(bench.RESULT.read_text(encoding="utf-8"))
    page = bench.PAGE.read_text(encoding="utf-8")

    assert page == bench.filled(page, result)


@pytest.mark.parametrize("substitution", proxy.SUBSTITUTIONS, ids=lambda each: each[2])
def test_every_substitution_still_finds_its_place_in_nginx_files(
    substitution: tuple[str, str, str],
) -> None:
    filled = {"folder": "/dev/shm/x", "port": "1", "upstream": "u"}
    site = nginx_dump.nginx_settings.site(nginx_dump.SOURCE, nginx_dump.defaults())
    texts = [content.decode() for content in site.values()]

    assert any(re.search(substitution[0].format(**filled), text) for text in texts)
