"""scripts/run-tests.sh, with programs in place of the tools that only note how they are called."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.clone import Clone, assert_refused
from tests.support.processes import output_of

LINTERS = [
    *("black", "flake8", "pylint", "mypy", "shellcheck", "bandit"),
    *("actionlint", "zizmor", "yamllint", "hadolint"),
]
LINT_SCRIPTS = [f"scripts/lint-{what}.sh" for what in ("nginx", "checkov", "policies")]
SECURITY = {"bandit", "pip-audit", "pre-commit", "pip-licenses"}
LINT = {*LINTERS, *(Path(script).name for script in LINT_SCRIPTS)}
TOOLS = [*LINTERS, *SECURITY, "pytest", "safety", "docker"]
CLOSING_LINE = "===== 3 passed in 0.01s ====="

# Fails if its name is in $FAILING; what it says is in $OUTPUT.
TOOL = """#!/bin/bash
echo "${0##*/} $*" >>.run/calls.log
[[ ${0##*/} == pytest ]] && echo "===== 3 passed in 0.01s ====="
echo "$OUTPUT"
[[ " $FAILING " != *" ${0##*/} "* ]]
"""


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone(tmp_path / "clone")
    programs = clone.venv / "bin"
    programs.mkdir(parents=True)
    (clone.folder / ".run").mkdir()
    (programs / "python").symlink_to(sys.executable)
    clone.stamp()
    paths = [programs / tool for tool in TOOLS] + [clone.folder / path for path in LINT_SCRIPTS]
    for path in paths:
        path.write_text(TOOL)
        path.chmod(0o755)
    return clone


def calls(clone: Clone) -> list[str]:
    log = clone.folder / ".run" / "calls.log"
    return log.read_text().splitlines() if log.exists() else []


def called(clone: Clone) -> set[str]:
    return {call.split()[0] for call in calls(clone)}


def pytest_calls(clone: Clone) -> list[str]:
    return [call for call in calls(clone) if call.startswith("pytest ")]


def test_without_a_choice_it_checks_all_and_ends_with_pytests_line(clone: Clone) -> None:
    said = output_of(clone.run("run-tests.sh"))
    assert called(clone) == {*LINT, "pytest"}
    [tests] = pytest_calls(clone)
    assert "--cov-fail-under=95" in tests and tests.endswith("tests/unit tests/integration")
    assert "-m not slow" in tests
    assert said.splitlines()[-1] == CLOSING_LINE


@pytest.mark.parametrize(
    ("choice", "expected"),
    [(["--lint"], LINT), (["--unit"], {"pytest tests/unit"})]
    + [(["--integration"], {"pytest tests/integration"}), (["--e2e"], {"pytest tests/e2e"})]
    + [(["--security"], SECURITY), (["--lint", "--unit"], {*LINT, "pytest"})],
)
def test_a_choice_runs_what_it_names(clone: Clone, choice: list[str], expected: set[str]) -> None:
    assert clone.run("run-tests.sh", *choice).returncode == 0
    assert called(clone) == {one.split()[0] for one in expected} | {"docker"} & called(clone)
    if len(choice) == 1:
        # All its tests, the slow ones too; the coverage of all is not demanded of them.
        assert all(
            option not in call for call in pytest_calls(clone) for option in (" -m ", "--cov")
        )
        assert {f"pytest {call.split()[-1]}" for call in pytest_calls(clone)} <= expected


def test_arguments_after_two_dashes_go_to_pytest_without_coverage_gate(clone: Clone) -> None:
    clone.run("run-tests.sh", "--unit", "--integration", "--", "-k", "cache hit", "--lf")
    [tests] = pytest_calls(clone)
    assert tests.endswith("tests/unit tests/integration -k cache hit --lf")
    assert "--cov-fail-under" not in tests


def test_quick_leaves_out_the_slow_tests_and_keeps_the_coverage_gate(clone: Clone) -> None:
    clone.run("run-tests.sh", "--quick", "--unit", "--integration")
    [tests] = pytest_calls(clone)
    assert "-m not slow" in tests and "--cov-fail-under=95" in tests


def test_a_failing_step_hides_nothing_and_fails_the_run(clone: Clone) -> None:
    result = clone.run("run-tests.sh", env={"FAILING": "black mypy"})
    assert result.returncode == 1
    assert called(clone) == {*LINT, "pytest"}
    summary = result.stdout.partition("== Summary")[2].splitlines()
    assert [line.split()[-1] for line in summary if "FAILED" in line] == ["black", "mypy"]
    assert summary[-1] == CLOSING_LINE


@pytest.mark.parametrize(
    ("report", "shown", "hidden"),
    [
        (
            "ERROR: flask could not be audited: flask",
            "pip-audit could not reach its vulnerability database",
            "flask could not be audited",
        ),
        ("Found 1 known vulnerability: GHSA-0, the connection timed out", "GHSA-0", "reach"),
    ],
    ids=["no database", "a vulnerability"],
)
def test_a_failing_audit_fails_the_run(clone: Clone, report: str, shown: str, hidden: str) -> None:
    env = {"FAILING": "pip-audit", "OUTPUT": report}
    result = clone.run("run-tests.sh", "--security", env=env)
    audit = result.stdout.partition("== pip-audit")[2].partition("\n== ")[0]
    assert result.returncode == 1
    assert shown in audit and hidden not in audit


def test_safety_runs_only_with_its_key_and_says_so_otherwise(clone: Clone, tmp_path: Path) -> None:
    page = tmp_path / "summary.md"
    without = clone.run("run-tests.sh", "--security", env={"GITHUB_STEP_SUMMARY": str(page)})
    assert "safety" not in called(clone)
    assert "set SAFETY_API_KEY" in without.stdout
    assert "safety is skipped: " in page.read_text() and "set SAFETY_API_KEY" in page.read_text()

    clone.run("run-tests.sh", "--security", env={"SAFETY_API_KEY": "key"})
    assert "safety" in called(clone)


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_without_an_engine_e2e_tests_are_skipped_and_fail_in_ci(
    clone: Clone, ci: str, status: int
) -> None:
    result = clone.run("run-tests.sh", "--e2e", env={"FAILING": "docker", "CI": ci})
    assert result.returncode == status
    assert "NO CONTAINER ENGINE ANSWERS" in result.stdout
    assert pytest_calls(clone) == []


def test_ctrl_c_ends_the_run_and_begins_no_other_step(clone: Clone) -> None:
    """Also where the tool catches the signal and ends normally, as pytest does."""
    catching = "#!/bin/bash\ntrap 'kill $!; exit 2' INT\necho at work\nsleep 60 & wait\n"
    (clone.venv / "bin" / "flake8").write_text(catching)
    process = clone.popen("run-tests.sh", "--lint")
    assert process.stdout
    while "at work" not in (line := process.stdout.readline()):
        assert line, "it ended before flake8 was at work"

    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 130
    assert output.endswith("Interrupted.\n")
    assert called(clone) == {"black"}


def test_an_unknown_option_is_refused_in_one_line(clone: Clone) -> None:
    unknown = clone.run("run-tests.sh", "--fast")
    assert_refused(unknown, "--fast")
    assert calls(clone) == []
