"""scripts/ci/summary.py and gate.py: what the summary page shows, and what stops a run."""

import json
from pathlib import Path
from typing import Any

import coverage
import pytest

from tests.support.ci_scripts import Run

FIXABLE = {
    "VulnerabilityID": "CVE-2026-1",
    "PkgName": "openssl",
    "InstalledVersion": "3.5.1",
    "FixedVersion": "3.5.2",
    "Severity": "HIGH",
}
UNFIXED = FIXABLE | {"VulnerabilityID": "CVE-2026-2", "FixedVersion": "", "Severity": "CRITICAL"}
MINOR = FIXABLE | {"VulnerabilityID": "CVE-2026-3", "Severity": "LOW"}


def report(folder: Path, name: str, *found: dict[str, str]) -> Path:
    """As Trivy writes it; a result without findings has no list at all."""
    results: list[dict[str, Any]] = [{"Target": "os", "Vulnerabilities": list(found)}]
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"Results": [*results, {"Target": "python"}]}))
    return path


def scan(run: Run, *reports: Path) -> Any:
    return run("summary.py", "scan", "--fail-on", "HIGH", "--fail-on", "CRITICAL", *reports)


def test_a_serious_vulnerability_with_a_fix_stops_the_run_and_is_named(
    run: Run, tmp_path: Path
) -> None:
    reports = [report(tmp_path, name, FIXABLE, MINOR) for name in ("amd64", "arm64")]

    done = scan(run, *reports)

    assert done.returncode == 1
    assert "1 serious vulnerabilities have a fix: CVE-2026-1 (high): openssl" in done.stderr
    assert "- CVE-2026-1 (high): openssl 3.5.1, fixed in 3.5.2" in done.stdout
    assert (
        "| amd64 | 0 (0 fixable) | 1 (1 fixable) | 0 (0 fixable) | 1 (1 fixable) |" in done.stdout
    )
    assert "| arm64 |" in done.stdout


def test_what_nobody_can_fix_yet_is_shown_but_stops_nothing(run: Run, tmp_path: Path) -> None:
    done = scan(run, report(tmp_path, "amd64", UNFIXED, MINOR))

    assert done.returncode == 0
    assert "| amd64 | 1 (0 fixable) |" in done.stdout


def test_an_image_without_findings_passes(run: Run, tmp_path: Path) -> None:
    assert scan(run, report(tmp_path, "amd64")).returncode == 0


@pytest.mark.parametrize("results", ["null", '[{"Target": "os", "Vulnerabilities": null}]'])
def test_a_report_that_says_nothing_by_null_passes(run: Run, tmp_path: Path, results: str) -> None:
    path = tmp_path / "amd64.json"
    path.write_text(f'{{"Results": {results}}}')

    assert scan(run, path).returncode == 0


@pytest.mark.parametrize("content", [None, "", "{"])
def test_a_scan_that_left_no_report_is_no_clean_bill_of_health(
    run: Run, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "amd64.json"
    if content is not None:
        path.write_text(content)

    done = scan(run, path)

    assert done.returncode == 1 and "cannot be read as JSON" in done.stderr


def test_coverage_is_shown_as_coverage_itself_reports_it(run: Run, tmp_path: Path) -> None:
    """Measured here and now, so that the report's form is the installed version's."""
    source = tmp_path / "measured.py"
    source.write_text("def sign(x):\n    if x < 0:\n        return -1\n    return 1\n\n\nsign(2)\n")
    measuring = coverage.Coverage(
        data_file=str(tmp_path / "data"), branch=True, include=[str(source)], config_file=False
    )
    with measuring.collect():
        exec(compile(source.read_text(), str(source), "exec"), {})  # pylint: disable=exec-used
    measuring.json_report(outfile=str(tmp_path / "report.json"))

    text = run("summary.py", "coverage", tmp_path / "report.json").stdout

    totals = json.loads((tmp_path / "report.json").read_text())["totals"]
    assert totals["covered_lines"] == 4 and totals["num_branches"] == 2
    assert f"## Coverage: {totals['percent_covered']:.1f} %" in text
    assert "| lines | 4 | 5 |" in text
    assert "| branches | 1 | 2 |" in text
    assert "measured.py" in text


def gate(run: Run, results: dict[str, str], *arguments: str) -> Any:
    needs = json.dumps(
        {name: {"result": result, "outputs": {}} for name, result in results.items()}
    )
    return run("gate.py", *arguments, env={"NEEDS": needs})


def test_the_gate_opens_when_every_job_has_succeeded(run: Run) -> None:
    done = gate(run, {"lint": "success", "image": "success"})

    assert (done.returncode, done.stdout) == (0, "All 2 required jobs succeeded.\n")


@pytest.mark.parametrize("result", ["failure", "cancelled", "skipped"])
def test_the_gate_stays_shut_for_anything_else_and_names_it(run: Run, result: str) -> None:
    done = gate(run, {"lint": "success", "image": result})

    assert done.returncode == 1 and f"image: {result}" in done.stderr


def test_a_job_that_may_be_skipped_may_not_fail(run: Run) -> None:
    assert gate(run, {"e2e": "skipped"}, "--may-skip", "e2e").returncode == 0
    assert gate(run, {"e2e": "failure"}, "--may-skip", "e2e").returncode == 1


@pytest.mark.parametrize("needs", ["", "{}", "nonsense"])
def test_a_gate_that_is_told_nothing_stays_shut(run: Run, needs: str) -> None:
    assert run("gate.py", env={"NEEDS": needs}).returncode == 1
