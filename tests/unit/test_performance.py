"""The bench's arithmetic, and that it still fits the files it reads."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from scripts.lib import nginx_dump
from tests.performance import (
    bench,
    imports,
    machine,
    proxy,
    report,
    run,
    sections,
    steps,
    without,
)
from tests.performance.capacity import Capacity, parse
from tests.performance.figures import Figure, figure, percentile, ratio, unquiet
from tests.performance.machine import Problem, cores
from tests.performance.targets import TARGETS, Target, flask_alone, targets
from tests.performance.variants import Stage, Variant, known_settings
from tests.unit.conftest import BEARER

WRK = """Running 2s test @ http://127.0.0.1:8000/api/v1/info
  1 threads and 32 connections
  Latency Distribution
     50%    4.40ms
     75%    5.12ms
     90%  980.00us
     99%    1.20s
  2000 requests in 2.00s, 3.11MB read
{extra}Requests/sec:   1000.50
Transfer/sec:      1.55MB
"""


def test_a_figure_keeps_median_and_spread() -> None:
    assert figure([10, 30, 20]) == {"median": 20, "spread": 1.0, "readings": [10, 30, 20]}
    assert ratio(figure([30]), figure([10, 20])) == 2.0


def test_no_readings_are_no_figure() -> None:
    with pytest.raises(ValueError):
        figure([])
    with pytest.raises(ValueError):
        percentile([], 99)


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (99.9, 100), (100, 100)])
def test_percentiles_are_readings(percent: float, expected: int) -> None:
    assert percentile(range(1, 101), percent) == expected


def test_equals_that_differ_by_more_than_a_tenth_are_told() -> None:
    assert unquiet(figure([100]), figure([109])) is None
    assert unquiet(figure([112]), figure([100])) == pytest.approx(0.12)


def test_wrk_is_read_in_milliseconds_and_per_request() -> None:
    assert parse(WRK.format(extra=""), 1.0) == Capacity(1000.5, 4.4, 1200.0, 500.0)


def test_imports_are_added_up_by_package() -> None:
    printed = """import time: self [us] | cumulative | imported package
import time:       900 |        900 |     redis.client
import time:       100 |       1000 |   redis
import time:        50 |         50 | zipimport
{"message": "of the service itself"}
"""

    assert imports.parse(printed) == {"redis": 1000, "zipimport": 50, imports.ALL: 1050}


def test_a_program_that_ended_before_it_imported_anything_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="no such module"):
        imports.parse("no such module")


def test_a_few_failures_are_borne_and_many_are_not() -> None:
    assert parse(WRK.format(extra="  Non-2xx or 3xx responses: 20\n")).per_second == 1000.5
    for line in (
        "Non-2xx or 3xx responses: 21",
        "Socket errors: connect 0, read 9, write 0, timeout 20",
    ):
        with pytest.raises(RuntimeError, match="too many failed"):
            parse(WRK.format(extra=f"  {line}\n"))


def test_the_service_shares_its_cores_with_nobody_where_there_are_enough() -> None:
    four = cores({0, 1, 2, 3})

    assert (four.service, four.proxy, four.load) == ({0, 1}, {2}, {3})
    assert cores({4, 6}).service == {4} and cores({4, 6}).proxy == cores({4, 6}).load == {6}
    assert "one core only" in str(cores({0}))


def test_missing_programs_are_told_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda _: None)

    with pytest.raises(Problem) as told:
        machine.check_programs(["wrk", "redis-benchmark"])

    assert "apt-get install redis-tools wrk" in str(told.value)
    assert len(str(told.value).splitlines()) == 1


def rates(**medians: float) -> dict[str, object]:
    def throughput(median: float) -> dict[str, Figure]:
        return {"per_second": figure([median])}

    return {name: {kind: throughput(m) for kind in report.KINDS} for name, m in medians.items()}


def test_a_target_says_what_was_measured_and_whether_that_is_enough() -> None:
    result = {"throughput": rates(ours=30, tutorial=10)}

    verdicts = {verdict["name"]: verdict for verdict in targets(result)}

    first = verdicts[TARGETS[0].name]
    assert first == {"name": TARGETS[0].name, "value": 3.0, "target": "≥ 2", "ok": True}
    assert verdicts["cacheable GET through nginx, against tutorial"]["ok"] is False
    granian = next(verdict for name, verdict in verdicts.items() if "Granian" in name)
    assert granian["value"] is None and granian["ok"] is False


def test_beside_a_target_stands_what_flask_alone_shows() -> None:
    result = {"throughput": rates(ours=12, tutorial=10, bare=15)}
    result["targets"] = targets(result)

    table = report.targets_table(result)

    head, _, first, *_ = table.splitlines()
    assert head.endswith("| met | Flask alone |")
    assert re.search(r"\| ≥ 2 +\| 1\.20 +\| no +\| 1\.50 +\|$", first)
    assert re.search(r"memory.*\| not measured +\| no +\| +\|", table)


def test_what_flask_alone_shows_is_held_against_the_same_figure_as_the_service() -> None:
    """With the in-process layer a GET is one without Redis; the tutorial's still asks it."""
    throughput = rates(**{"ours+layer": 30, "tutorial": 20, "bare": 40})
    throughput["tutorial"]["redis"] = {"per_second": figure([10])}  # type: ignore[index]
    result = {"throughput": throughput}
    layer = next(target for target in TARGETS if "in-process layer" in target.name)

    assert layer.value(result) == 3.0
    assert flask_alone(result)[layer.name] == 4.0


def test_the_start_has_a_table_of_its_own_and_is_held_against_the_tutorials() -> None:
    starts = {"ours": 0.3, "tutorial": 0.4, "bare": 0.2, "libraries": 0.25}
    result = {"start": {name: figure([seconds]) for name, seconds in starts.items()}}
    target = next(target for target in TARGETS if "first 200" in target.name)

    assert target.value(result) == pytest.approx(0.75)
    assert flask_alone(result) == {target.name: 0.5}
    assert re.search(r"\| libraries +\| 250 +\| 0% +\| 0\.6", report.section(result, "start"))


@pytest.mark.parametrize(("value", "ok"), [(1.25, True), (1.26, False)])
def test_an_upper_bound_is_one(value: float, ok: bool) -> None:
    verdict = Target("t", lambda _: value, 1.25, at_least=False).verdict({})

    assert verdict == {"name": "t", "value": value, "target": "≤ 1.25", "ok": ok}


def test_a_step_is_told_with_what_the_service_costs_without_it() -> None:
    bought = {"step": "keep-alive", "what": "CPU µs"}
    result = {"steps": [{**bought, "shipped": figure([200]), "without": figure([300])}]}

    row = report.section(result, "steps").splitlines()[-1]

    assert re.split(r" *\| *", row)[1:-1] == ["keep-alive", "CPU µs", "200", "300", "1.50"]


def test_every_step_of_the_application_can_be_left_out(client: FlaskClient) -> None:
    assert set(without.APPLICATION) == set(steps.IN_PROCESS)
    for leave_out in without.APPLICATION.values():
        leave_out(client.application)

    assert client.put("/api/v1/cache/a", json=1, headers=BEARER).status_code == 201
    assert client.get("/api/v1/cache/a").get_json() == 1
    observed = client.application.wsgi_app
    assert not observed._children  # type: ignore[attr-defined]  # pylint: disable=protected-access


def test_the_report_warns_of_an_unquiet_machine() -> None:
    quiet = {"throughput": rates(**{"ours": 100, "ours again": 105})}
    noisy = {"throughput": rates(**{"ours": 100, "ours again": 80})}

    assert report.quietness(quiet) == ""
    assert "differs by 25%" in report.quietness(noisy)


def test_a_section_that_fails_loses_nothing_of_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    @contextmanager
    def prepared(*, quick: bool) -> Iterator[run.Run]:
        assert quick
        yield run.Run(Stage(tmp_path, "redis://nowhere", cores({0})), run.QUICK)

    def fail(_run: run.Run) -> None:
        raise RuntimeError("nothing answers")

    monkeypatch.setattr(run, "prepared", prepared)
    monkeypatch.setattr(sections, "floor", lambda _run: {"nginx": figure([1.0])})
    monkeypatch.setattr(sections, "memory", fail)

    result = bench.measure(bench.parse(["--quick", "--only", "memory,floor"]))

    assert result["floor"] == {"nginx": figure([1.0])}
    assert result["notes"] == {"memory": "could not be measured: nothing answers"}
    assert "memory: could not be measured" in report.report(result)


def test_a_variant_the_service_does_not_offer_says_so() -> None:
    assert Variant("x", "x", settings={"WEB_THREADS": "2"}).missing() is None
    assert "no setting NO_SUCH" in str(Variant("x", "x", settings={"NO_SUCH": "1"}).missing())
    assert {"REDIS_TIMEOUT_MS", "WEB_CONCURRENCY"} <= known_settings()


@pytest.mark.parametrize("substitution", proxy.SUBSTITUTIONS, ids=lambda each: each[2])
def test_every_substitution_still_finds_its_place_in_nginx_files(
    substitution: tuple[str, str, str],
) -> None:
    filled = {"folder": "/dev/shm/x", "port": "1", "upstream": "u"}
    texts = [text for _, text in nginx_dump.files(nginx_dump.defaults())]

    assert any(re.search(substitution[0].format(**filled), text) for text in texts)
