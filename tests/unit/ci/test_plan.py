"""scripts/ci/plan.py, the job Required, and how long a push takes."""

import importlib
import itertools
import json
import re
import sys
from typing import Any

import pytest

from tests.support import workflows
from tests.support.ci_scripts import Git, run_script
from tests.support.processes import output_of, run

plan: Any = importlib.import_module("plan")


@pytest.mark.parametrize(
    ("paths", "decided"),
    [
        (["README.md", "docs/images/console.png"], ""),
        (["tests/unit/test_auth.py", "docs/SETUP.md"], "code"),
        ([".github/dependabot.yml", ".checkov.yaml"], "code"),
        (["app/routes/items.py", "README.md"], "code build"),
        (["requirements.txt"], "code build"),
        ([".github/workflows/docker-build.yml"], "code build"),
        (["tests/e2e/test_deploy.py"], "code build drills"),
        (["a-folder-that-is-new/file"], "code build"),
        # Alerts are waited for where they may have changed.
        (["infrastructure/docker-compose.yml"], "code build drills"),
        (["monitoring/prometheus/rules/web-alerts.yml"], "code build drills"),
        (["tests/e2e/test_drills.py"], "code build drills"),
        (None, "code build drills"),
    ],
)
def test_paths_decide_what_is_built_and_drilled(paths: list[str] | None, decided: str) -> None:
    found, parts = plan.decide(paths), plan.e2e_parts(paths)
    drills = plan.DRILLS in parts
    assert (found.code, found.build) == ("code" in decided, "build" in decided)
    assert drills == ("drills" in decided)
    assert set(plan.E2E) <= set(parts)


def test_every_end_to_end_test_is_in_one_part() -> None:
    words = sorted(set(re.findall(r"[a-z]+", " ".join(plan.E2E))) - {"and", "or", "not"})
    for values in itertools.product([False, True], repeat=len(words)):
        named = dict(zip(words, values, strict=True))
        # pylint: disable-next=eval-used
        assert sum(eval(part, named) for part in (*plan.E2E, plan.DRILLS)) == 1, named


def planned(git: Git, base: str = "", **environment: str) -> dict[str, str]:
    said = output_of(run_script("plan.py", cwd=git.folder, BASE=base, **environment))
    lines = [line.split("=", 1) for line in said.splitlines() if "=" in line]
    return dict(lines) | {"summary": said}


@pytest.fixture
def base(git: Git) -> str:
    git.write("app/version.py", '__version__ = "1.2.3"  # x-release-please-version\n')
    return git.commit("feat: start")


def test_a_deleted_or_renamed_file_counts_as_changed(git: Git, base: str) -> None:
    git.write("app/old.py", "print()\n")
    middle = git.commit("feat: old")
    git("mv", "app/old.py", "notes.md")
    git.commit("docs: notes")
    assert planned(git, middle)["build"] == "true"
    assert planned(git, base)["build"] == "false"


@pytest.mark.parametrize("unknown", ["", "0" * 40])
def test_without_a_known_base_everything_runs(git: Git, base: str, unknown: str) -> None:
    assert base
    assert planned(git, unknown)["build"] == "true"


def test_only_the_commit_that_releases_a_version_has_it_for_a_name(git: Git, base: str) -> None:
    assert planned(git)["version"] == f"1.2.3+g{base[:7]}"
    git.write("app/version.py", '__version__ = "1.3.0"\n')
    git.write(".release-please-manifest.json", '{".": "1.3.0"}')
    git.commit("chore(main): release 1.3.0")
    assert planned(git)["version"] == "1.3.0"
    following = git.commit("feat: next")
    assert planned(git)["version"] == f"1.3.0+g{following[:7]}"


def test_the_image_is_named_in_lower_case_as_registries_want_it(git: Git, base: str) -> None:
    assert planned(git, base, GITHUB_REPOSITORY="Me/My-App")["image"] == "ghcr.io/me/my-app"


def test_a_private_repository_reads_in_one_sentence_what_is_skipped(git: Git, base: str) -> None:
    assert "are skipped" not in planned(git, base, VISIBILITY="public")["summary"]
    assert "harden-runner" in planned(git, base, VISIBILITY="private")["summary"]


def test_a_missing_version_is_one_line(git: Git) -> None:
    git.commit("feat: nothing")
    done = run_script("plan.py", cwd=git.folder)
    assert done.returncode == 1
    assert done.stderr.startswith("error: app/version.py") and done.stderr.count("\n") == 1


def gate(may_skip: str, **results: str) -> Any:
    needs = json.dumps({name: {"result": result} for name, result in results.items()})
    step = workflows.job("ci-cd/required").data["steps"][-1]
    assert (step["shell"], set(step["env"])) == ("python", {"NEEDS", "MAY_SKIP"})
    return run([sys.executable, "-c", step["run"]], env={"NEEDS": needs, "MAY_SKIP": may_skip})


@pytest.mark.parametrize("result", ["failure", "cancelled", "skipped"])
def test_the_gate_stays_shut_for_anything_but_success(result: str) -> None:
    done = gate("image", lint=result, unit="success")
    assert (done.returncode, f"lint: {result}" in done.stderr) == (1, True)


def test_the_gate_accepts_as_skipped_what_the_plan_skips() -> None:
    pages_only = plan.decide(["README.md"]).may_skip
    skipped = dict.fromkeys(["lint", "unit", "integration", "security", "image"], "skipped")
    assert gate(pages_only, plan="success", pages="success", **skipped).returncode == 0
    assert gate(pages_only, plan="success", pages="skipped", **skipped).returncode == 1
    assert gate(pages_only, **(skipped | {"lint": "failure"})).returncode == 1
    assert gate(plan.decide(None).may_skip, **skipped).returncode == 1


def test_a_gate_without_any_result_stays_shut() -> None:
    assert gate("").returncode == 1


minutes: Any = importlib.import_module("pipeline_minutes")


def test_every_job_of_a_push_has_its_seconds() -> None:
    """A new job may cost minutes that nobody has counted."""
    called_or_deploying = {"ci-cd/image", "ci-cd/staging", "ci-cd/production"}
    assert set(minutes.measured()) == set(minutes.jobs()) - called_or_deploying


def test_a_push_is_a_signed_image_in_twenty_minutes_and_pages_take_four() -> None:
    numbers = minutes.numbers()
    assert numbers["from a push to the signed image"] <= 20
    assert numbers["from a push of pages to its end"] <= 4


def test_a_job_ends_after_the_slowest_that_it_waits_for() -> None:
    known = {"ci-cd/a": {}, "ci-cd/b": {}, "ci-cd/last": {"needs": ["a", "b", "left-out"]}}
    known["ci-cd/left-out"] = {}
    run = {"ci-cd/a": [60.0], "ci-cd/b": [30.0, 90.0], "ci-cd/last": [5.0]}
    assert minutes.end("ci-cd/last", run, known) == 95
    assert minutes.counted(run) == pytest.approx(1 + 1 + 2 + 1)
