"""The step of ci-cd.yml that decides whether the tag `main` moves to the image of this run."""

from pathlib import Path

import pytest

from tests.support import workflows
from tests.support.processes import Programs, run

PUBLISHED, COMMIT = "a" * 40, "b" * 40


def moves(programs: Programs, tmp_path: Path, skopeo: str, status: str = "") -> str:
    """What the step says, or its error."""
    programs.add("skopeo", skopeo)
    programs.add("gh", f'echo "{status}"')
    steps = workflows.job("ci-cd/publish").data["steps"]
    (step,) = (step for step in steps if step.get("id") == "main")
    environment = {"PATH": programs.path, "IMAGE": "ghcr.io/o/n", "GITHUB_REPOSITORY": "o/n"}
    environment |= {"GITHUB_SHA": COMMIT, "GITHUB_OUTPUT": str(tmp_path / "output")}
    environment["RUNNER_TEMP"] = str(tmp_path)
    done = run(["bash", "-eo", "pipefail", "-c", step["run"]], env=environment)
    return (tmp_path / "output").read_text() if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(
    ("status", "newer"),
    [("ahead", "true"), ("identical", "true"), ("behind", "false"), ("diverged", "false")],
)
def test_main_moves_to_a_commit_that_contains_the_published_one(
    programs: Programs, tmp_path: Path, status: str, newer: str
) -> None:
    """Whatever the newest commit of main is: one that changes a page publishes nothing."""
    label = f'{{"config": {{"Labels": {{"org.opencontainers.image.revision": "{PUBLISHED}"}}}}}}'
    assert moves(programs, tmp_path, f"echo '{label}'", status) == f"newer={newer}\n"
    assert f"compare/{PUBLISHED}...{COMMIT}" in programs.calls[-1]


def test_the_first_image_gets_the_tag(programs: Programs, tmp_path: Path) -> None:
    refused = 'echo "reading manifest main: manifest unknown" >&2; exit 1'
    assert moves(programs, tmp_path, refused) == "newer=true\n"


def test_a_registry_that_does_not_answer_ends_the_run(programs: Programs, tmp_path: Path) -> None:
    assert "timeout" in moves(programs, tmp_path, 'echo "i/o timeout" >&2; exit 1')
