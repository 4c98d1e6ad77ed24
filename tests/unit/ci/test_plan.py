"""scripts/ci/plan.py: what a run does, for every way it can be started."""

import importlib
from pathlib import Path

import pytest

from tests.support.ci_scripts import Run


def planned(run: Run, *arguments: str, **environment: str) -> dict[str, str]:
    done = run("plan.py", *arguments, env=environment)
    assert done.returncode == 0, done.stderr
    lines = [line.split("=", 1) for line in done.stdout.splitlines() if "=" in line]
    return dict(lines) | {"summary": done.stdout}


@pytest.mark.parametrize(
    ("event", "branch"),
    [
        ("pull_request", ""),
        ("pull_request", "main"),
        ("merge_group", "gh-readonly-queue/main/pr-1"),
        ("schedule", "main"),
        ("push", "some-branch"),
        ("workflow_dispatch", "some-branch"),
        ("push", ""),
    ],
)
def test_only_a_push_to_a_branch_with_an_environment_leaves_the_building(
    run: Run, event: str, branch: str
) -> None:
    plan = planned(
        run,
        *("--event", event, "--branch", branch),
        *("--visibility", "public", "--environments", "production staging"),
    )

    assert (plan["publish"], plan["attest"]) == ("false", "false")
    assert (plan["environment"], plan["tags"], plan["release"]) == ("", "", "")
    assert "| Deploy | skipped | nothing was published |" in plan["summary"]


def test_in_a_fork_with_nothing_set_the_image_is_published_and_the_rest_says_why_not(
    run: Run,
) -> None:
    plan = planned(
        run,
        GITHUB_EVENT_NAME="push",
        GITHUB_REF="refs/heads/main",
        GITHUB_REPOSITORY="Some-One/A-Service",
        DEPLOY_ENVIRONMENTS="",
        REPOSITORY_VISIBILITY="public",
    )

    assert plan["publish"] == "true"
    assert plan["image"] == "ghcr.io/some-one/a-service"
    assert plan["environment"] == ""
    assert "DEPLOY_ENVIRONMENTS does not name production" in plan["summary"]


@pytest.mark.parametrize("visibility", ["private", "internal", ""])
def test_what_github_offers_in_public_only_is_left_out_elsewhere_with_a_sentence(
    run: Run, visibility: str
) -> None:
    plan = planned(run, "--event", "push", "--branch", "main", "--visibility", visibility)

    assert (plan["publish"], plan["attest"], plan["code-scanning"]) == ("true", "false", "false")
    assert "public repositories only" in plan["summary"]


@pytest.mark.parametrize("environments", ["production", "staging, production", "production\nqa"])
def test_a_branch_is_deployed_once_its_environment_is_named(run: Run, environments: str) -> None:
    plan = planned(run, "--event", "push", "--branch", "main", "--environments", environments)

    assert plan["environment"] == "production"


def test_another_branch_does_not_reach_the_environment(run: Run) -> None:
    plan = planned(run, "--event", "push", "--branch", "develop", "--environments", "production")

    assert plan["environment"] == ""


def test_a_nightly_run_uploads_findings_where_it_can(run: Run) -> None:
    plan = planned(run, "--event", "schedule", "--branch", "main", "--visibility", "public")

    assert plan["code-scanning"] == "true"


def test_a_tag_named_like_a_branch_is_not_that_branch(run: Run) -> None:
    plan = planned(run, GITHUB_EVENT_NAME="push", GITHUB_REF="refs/tags/main")

    assert plan["publish"] == "false"


@pytest.mark.parametrize(("branch", "released"), [("main", True), ("develop", False)])
def test_a_release_commit_is_released_from_main_only(branch: str, released: bool) -> None:
    plan = importlib.import_module("plan")
    made = plan.make(
        plan.Situation(
            event="push",
            branch=branch,
            commit="0123456789abcdef" * 2,
            repository="o/n",
            visibility="public",
            environments=[],
            released="1.2.3",
            build_version="1.2.3",
        )
    )

    assert made.release == ("1.2.3" if released else "")
    assert made.release_tags == ("1.2.3 1.2 1 latest" if released else "")
    assert made.tags == f"{branch} sha-0123456789ab"


def test_on_github_the_plan_goes_to_its_files(run: Run, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}

    done = run("plan.py", env={name: str(path) for name, path in files.items()})

    assert (done.returncode, done.stdout) == (0, "")
    assert "version<<" in files["GITHUB_OUTPUT"].read_text()
    assert files["GITHUB_STEP_SUMMARY"].read_text().startswith("## Plan for ")
