"""Who may publish, sign and deploy. zizmor checks pins, permissions and injected expressions."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import workflows
from tests.support.paths import ROOT
from tests.support.processes import run
from tests.support.workflows import FILES, NAMES, Job

JOBS = workflows.jobs()
# Every other way to start a run: code that is not, or not yet, on main.
FROM_OUTSIDE = [
    ("pull_request", "refs/pull/1/merge"),
    ("merge_group", "refs/heads/gh-readonly-queue/main/pr-1"),
    ("push", "refs/heads/other"),
    ("workflow_dispatch", "refs/heads/other"),
    ("workflow_dispatch", "refs/tags/v1.0.0"),
]
WRITING = ["ci-cd/publish", "ci-cd/release", "ci-cd/promote"]
DEPLOYING = ["ci-cd/staging", "ci-cd/production", "deploy/deploy"]
# These become an identity of the cloud, by OIDC.
IN_THE_CLOUD = ["clouds/propose", "clouds/review", "clouds/apply"]
ON_MAIN = [("push", "refs/heads/main"), ("workflow_dispatch", "refs/heads/main")]
# Everything else a condition asks for, as favourable as it can be.
FAVOURABLE = {
    "vars.DEPLOY_ENVIRONMENTS": "staging production",
    "vars.GITOPS": "true",
    "vars.CLOUD_STACKS": "[...]",
    "github.repository_visibility": "public",
    **{f"needs.{name}.result": "success" for name in ("required", "publish", "staging", "image")},
}


def by_name(job: Any) -> str | None:
    return job.name if isinstance(job, Job) else None


def started(event: str, ref: str) -> dict[str, Any]:
    return FAVOURABLE | {"github.event_name": event, "github.ref": ref}


def test_images_that_build_the_image_are_pinned_by_digest() -> None:
    text = (ROOT / ".github/workflows/docker-build.yml").read_text(encoding="utf-8")
    images = re.findall(r"docker\.io/\S+", text)
    assert len(images) == 2
    assert all(re.search(r":[^@]+@sha256:[0-9a-f]{64}$", image) for image in images)


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_gives_no_rights_to_its_jobs_and_none_to_code_from_outside(name: str) -> None:
    data = workflows.load(name)
    assert data["permissions"] == {}
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(data["on"])


def test_the_checks_of_a_pull_request_are_of_its_change_of_main() -> None:
    """They stay when its base branch changes, which starts no run."""
    assert workflows.load("ci-cd")["on"]["pull_request"] == {"branches": ["main"]}


@pytest.mark.parametrize("name", [*WRITING, *DEPLOYING, "clouds/apply"])
def test_only_a_run_of_main_publishes_releases_and_deploys(name: str) -> None:
    condition = workflows.job(name).condition
    assert not [start for start in FROM_OUTSIDE if workflows.holds(condition, started(*start))]
    assert all(workflows.holds(condition, started(*start)) for start in ON_MAIN)


def test_no_other_job_may_write_anything_or_sign() -> None:
    assert {job.name for job in JOBS if job.writes} == {*WRITING, *IN_THE_CLOUD}
    assert all(workflows.job(name).writes == {"id-token"} for name in IN_THE_CLOUD)
    others = {job.name for job in JOBS if "id-token" in job.writes} - set(IN_THE_CLOUD)
    assert others == {"ci-cd/publish"}


def test_a_cloud_answers_no_fork_and_applies_only_in_an_environment() -> None:
    proposal = started("pull_request", "refs/pull/1/merge") | {"github.repository": "owner/name"}
    whose = "github.event.pull_request.head.repo.full_name"
    for name in IN_THE_CLOUD:
        condition = workflows.job(name).condition
        own = workflows.holds(condition, proposal | {whose: "owner/name"})
        assert own is (name == "clouds/propose")
        assert not workflows.holds(condition, proposal | {whose: "stranger/name"})
        assert not workflows.holds(condition, proposal | {"vars.CLOUD_STACKS": ""})
    assert workflows.job("clouds/propose").data["environment"] == "${{ matrix.environment }}-plan"
    assert workflows.job("clouds/apply").data["environment"] == "${{ matrix.environment }}"


@pytest.mark.parametrize("job", JOBS, ids=by_name)
def test_a_run_of_code_from_outside_is_given_no_secret(job: Job) -> None:
    """Not even a pull request from a branch of this repository."""
    if job.workflow == "security-scan":
        assert set(workflows.load(job.workflow)["on"]) == {"schedule", "workflow_dispatch"}
        return
    if not job.secrets:
        return
    for start in FROM_OUTSIDE:
        if workflows.holds(job.condition, started(*start)):
            values = started(*start) | {f"secrets.{name}": "secret" for name in job.secrets}
            given = [value for value in workflows.strings(job.data) if "secrets." in value]
            assert given and not [value for value in given if workflows.holds(value, values)]


GOOD, BAD = ("success", "skipped"), ("failure", "cancelled")


@pytest.mark.parametrize(
    ("job", "needed", "results", "starts"),
    [
        # Production gets the published image unless staging failed.
        *[("production", "publish staging", ("success", result), True) for result in GOOD],
        *[("production", "publish staging", ("success", result), False) for result in BAD],
        *[
            ("production", "publish staging", (one, "skipped"), False)
            for one in ("skipped", BAD[0])
        ],
        # A release waits for the tests and the image, and for no deployment.
        *[("release", "required publish", ("success", result), True) for result in GOOD],
        *[("release", "required publish", ("success", result), False) for result in BAD],
        *[("release", "required publish", (result, "skipped"), False) for result in BAD],
        # So does a promotion: of a commit that builds no image, from staging to production.
        *[("promote", "required publish", ("success", result), True) for result in GOOD],
        *[("promote", "required publish", ("success", result), False) for result in BAD],
    ],
)
def test_a_job_starts_only_after_what_it_needs_has_succeeded(
    job: str, needed: str, results: tuple[str, ...], starts: bool
) -> None:
    found = workflows.job(f"ci-cd/{job}")
    values = {
        f"needs.{name}.result": one for name, one in zip(needed.split(), results, strict=True)
    }
    assert workflows.holds(found.condition, started(*ON_MAIN[0]) | values) is starts
    assert set(found.data["needs"]) == {"plan", *needed.split()}


def test_code_is_analysed_when_it_is_pushed_and_when_it_is_proposed() -> None:
    started_by = workflows.load("codeql")["on"]
    assert started_by["push"] == {"branches": ["main"]}
    assert {"pull_request", "schedule"} <= set(started_by)


def test_every_environment_gets_the_published_image() -> None:
    for name in ("staging", "production"):
        given = workflows.job(f"ci-cd/{name}").data["with"]
        assert given["digest"] == "${{ needs.publish.outputs.digest }}"


def test_jobs_after_the_gate_run_although_the_plan_skipped_an_earlier_job() -> None:
    """Without a status function GitHub skips a job after any skipped one (actions/runner 491)."""
    for name in ("publish", "release", "promote", "staging", "production"):
        assert "!cancelled()" in workflows.job(f"ci-cd/{name}").condition


def test_the_required_check_waits_for_every_job_that_proves_something() -> None:
    later = {"required", "publish", "release", "promote", "staging", "production"}
    required = workflows.job("ci-cd/required").data
    assert set(required["needs"]) == {j.id for j in JOBS if j.workflow == "ci-cd"} - later
    assert required["if"] == "always()"
    assert "required" in workflows.job("ci-cd/publish").data["needs"]


@pytest.mark.parametrize(
    ("title", "fits"),
    [
        ("fix(cache): keep the TTL", True),
        ("feat!: no /metrics", True),
        ("chore(main): release 1.2.0", True),
        ("chore(release): v9.9.9", False),
        ("--help", False),
        ("fix: ", False),
        ("fix cache", False),
        ("feat: a\x01b", False),
        ("feat: a\nb", False),
    ],
)
def test_a_title_is_a_conventional_commit(title: str, fits: bool) -> None:
    (step,) = workflows.job("pull-request/title").data["steps"]
    done = run(["bash", "-c", step["run"]], env={"TITLE": title, "PATH": os.environ["PATH"]})
    assert (done.returncode == 0) is fits


def test_an_edit_of_the_title_leaves_no_dependency_unseen() -> None:
    """It cancels the run of the push before it."""
    assert workflows.holds(
        workflows.job("pull-request/dependencies").condition,
        started("pull_request", "refs/pull/1/merge") | {"github.event.action": "edited"},
    )


def test_what_reads_a_page_runs_where_only_pages_changed() -> None:
    steps = workflows.job("ci-cd/required").data["steps"]
    settings = [step.get("env", {}) for step in steps]
    (named,) = (each["THAT_READ_PAGES"] for each in settings if "THAT_READ_PAGES" in each)
    words = set(re.findall(r"\w+", named)) - {"or", "and", "not"}
    for path in [*ROOT.glob("tests/unit/**/test_*.py"), *ROOT.glob("tests/integration/test_*.py")]:
        text = path.read_text(encoding="utf-8")
        if re.search(r'\(ROOT / "(docs|README|environments)', text):
            tests = [path.stem, *re.findall(r"def (test_\w+)", text)]
            assert any(word in name for word in words for name in tests), path


def test_pages_are_proved_in_the_required_check_where_nothing_else_changed() -> None:
    """A failure there must end the check that the rules of main ask for."""
    steps = workflows.job("ci-cd/required").data["steps"]
    proofs = [step for step in steps if re.search(r"run-tests|pre-commit", step.get("run", ""))]
    assert len(proofs) == 2
    for step in proofs:
        assert "continue-on-error" not in step
        for code in ("true", "false", ""):
            runs = workflows.holds(step["if"], {"needs.plan.outputs.code": code})
            assert runs is (code == "false")


def test_every_secret_and_variable_is_explained() -> None:
    page = (ROOT / "docs/CI-CD.md").read_text(encoding="utf-8")
    text = "".join(file.read_text(encoding="utf-8") for file in FILES)
    for name in set(re.findall(r"\b(?:secrets|vars)\.([A-Z_]+)", text)):
        assert f"| `{name}` |" in page


def test_actions_are_given_only_inputs_that_they_have(tmp_path: Path) -> None:
    """actionlint knows the inputs of well-known actions by their major version, not by commit."""
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for path in (tmp_path / ".github" / "workflows").iterdir():
        text = re.sub(r"@[0-9a-f]{40} # (v\d+)\S*", r"@\1", path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")

    actionlint = Path(sys.executable).parent / "actionlint"
    done = run([actionlint], cwd=tmp_path)

    assert (done.stdout, done.returncode) == ("", 0)
