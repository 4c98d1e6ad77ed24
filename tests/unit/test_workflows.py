"""The workflows are as hard as they claim to be."""

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import workflows
from tests.support.workflows import FOLDER, NAMES, ROOT, Job

PINS = Path(__file__).parent / "ci" / "action_pins.csv"
NOT_A_PULL_REQUEST = "github.event_name != 'pull_request'"
JOBS = workflows.jobs()
JOBS_WITH_STEPS = [job for job in JOBS if job.steps]


def by_name(job: Any) -> str | None:
    return job.name if isinstance(job, Job) else None


def published_pins() -> dict[str, tuple[str, str]]:
    """Action to (version, commit), each read where it was published."""
    with PINS.open(encoding="utf-8") as file:
        return {row["action"]: (row["version"], row["commit"]) for row in csv.DictReader(file)}


def test_these_are_all_the_workflows() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == [f"{name}.yml" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_every_action_is_a_commit_that_was_published_under_the_version_beside_it(name: str) -> None:
    pins = published_pins()

    lines = [line for line in workflows.text(name).splitlines() if "uses:" in line]
    for line in lines:
        if "uses: $/" in line:
            assert (ROOT / line.split("$/")[1]).is_file()
            continue
        found = workflows.USES.search(line)
        assert found, line
        action = re.sub(r"^(github/codeql-action)/.*", r"\1/*", found["name"])
        assert (found["version"], found["commit"]) == pins[action]
    assert lines


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_has_no_rights_of_its_own_and_says_what_may_overlap(name: str) -> None:
    data = workflows.load(name)

    assert data["permissions"] == {}
    assert data["concurrency"]["group"]


@pytest.mark.parametrize("job", JOBS, ids=by_name)
def test_every_permission_of_a_job_has_its_reason_beside_it(job: Job) -> None:
    assert job.data["permissions"], "a job without permissions would get none and fail"
    text = workflows.text(job.workflow)
    for scope, access in job.data["permissions"].items():
        lines = re.findall(rf"^ +{scope}: {access}(.*)$", text, re.MULTILINE)
        assert lines and all(re.match(r" # \w+", line) for line in lines)


@pytest.mark.parametrize("job", JOBS_WITH_STEPS, ids=by_name)
def test_a_job_ends_in_time_on_a_named_system_and_is_watched_from_its_first_step(job: Job) -> None:
    assert 0 < job.data["timeout-minutes"] <= 45
    assert job.data["runs-on"] == "ubuntu-24.04"
    assert job.steps[0]["uses"].startswith("step-security/harden-runner@")
    assert job.steps[0]["with"] == {"egress-policy": "audit"}


def test_no_checkout_leaves_its_token_on_the_disk() -> None:
    checkouts = [
        s for _, s in workflows.steps() if s.get("uses", "").startswith("actions/checkout@")
    ]

    assert len(checkouts) == len(JOBS_WITH_STEPS)
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_no_expression_becomes_part_of_a_command() -> None:
    commands = [str(step["run"]) for _, step in workflows.steps() if "run" in step]

    assert commands
    assert not [command for command in commands if "${{" in command]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_starts_a_workflow_with_secrets_on_code_from_outside(name: str) -> None:
    allowed = {
        "push",
        "pull_request",
        "merge_group",
        "workflow_dispatch",
        "workflow_call",
        "schedule",
    }

    assert set(workflows.load(name)["on"]) <= allowed


def guarded(expression: str) -> bool:
    return NOT_A_PULL_REQUEST in expression


def test_a_pull_request_is_given_no_secret_and_may_write_nothing_but_findings() -> None:
    """Jobs of docker-build.yml are guarded by what the caller hands them."""
    caller = workflows.job("ci-cd/image").data
    assert guarded(caller["with"]["publish"])
    assert all(guarded(value) for value in caller["secrets"].values())

    for job in JOBS:
        if job.workflow == "security-scan" or job.name == "ci-cd/image":
            continue
        closed = guarded(job.condition) or job.condition == "inputs.publish"
        writes = {scope for scope, access in job.data["permissions"].items() if access == "write"}
        assert closed or writes <= {"security-events"}
        for value in workflows.strings(job.data):
            assert closed or not workflows.named("secrets", value) or guarded(value)
    assert "pull_request" not in workflows.load("security-scan")["on"]


def test_only_the_publishing_job_can_sign() -> None:
    signers = [job.name for job in JOBS if "id-token" in job.data["permissions"]]

    assert signers == ["ci-cd/image", "docker-build/publish"]
    assert not workflows.job("ci-cd/image").steps


def test_a_title_is_checked_again_when_it_was_put_right() -> None:
    """Running the job again would not do: it is given the event of the first time."""
    types = workflows.load("ci-cd")["on"]["pull_request"]["types"]

    assert set(types) == {"opened", "synchronize", "reopened", "edited"}


def test_one_deployment_at_a_time_and_none_is_cut_off() -> None:
    deploy = workflows.job("ci-cd/deploy").data
    environment = "${{ needs.plan.outputs.environment }}"

    assert deploy["environment"]["name"] == environment
    assert deploy["concurrency"] == {"group": f"deploy-{environment}", "cancel-in-progress": False}
    cancels = workflows.load("ci-cd")["concurrency"]["cancel-in-progress"]
    assert cancels == "${{ github.event_name == 'pull_request' }}"


def test_the_image_is_built_once_and_known_by_its_digest_from_then_on() -> None:
    digest = "${{ needs.build.outputs.digest }}"

    builds = [where for where, w, _ in workflows.commands() if w[0].endswith("build-image.sh")]
    assert builds == [
        "docker-build/build: Build the image for amd64 and arm64",
        "security-scan/image: Build what the next push would ship, from nothing",
    ]
    for name in ("scan", "e2e", "publish"):
        job = workflows.job(f"docker-build/{name}")
        assert "build" in job.needs
        checked = [s for s in job.steps if "--digest" in s.get("run", "")]
        assert checked and all(step["env"]["DIGEST"] == digest for step in checked)
    assert (
        workflows.job("ci-cd/deploy")
        .data["env"]["IMAGE"]
        .endswith("@${{ needs.image.outputs.digest }}")
    )
    assert (
        workflows.job("ci-cd/release").data["env"]["DIGEST"] == "${{ needs.image.outputs.digest }}"
    )


def test_a_deployment_verifies_the_signature_before_anything_reaches_the_host() -> None:
    runs = [str(step.get("run", "")) for step in workflows.job("ci-cd/deploy").steps]
    order = [next(i for i, run in enumerate(runs) if script in run) for script in (
        "verify-signature.sh", "deploy_order.py", "remote-deploy.sh --image", "check_health.py",
        "remote-deploy.sh --rollback", "record_deploy.py", "annotate.py", "notify.py",
    )]  # fmt: skip

    assert order == sorted(order)
    assert not workflows.job("ci-cd/deploy").steps[order[0]].get("continue-on-error")


def holds(condition: str, values: dict[str, str]) -> bool:
    """A condition of a job, for these values of what it names."""
    for name in sorted(values, key=len, reverse=True):
        condition = condition.replace(name, repr(values[name]))
    condition = condition.replace("!cancelled()", "True").replace("&&", "and").replace("||", "or")
    return bool(eval(condition, {"__builtins__": {}}))  # pylint: disable=eval-used


@pytest.mark.parametrize(
    ("deploy", "overtaken", "image", "released"),
    [
        ("success", "false", "success", True),
        ("skipped", "", "success", True),
        ("skipped", "", "failure", False),
        ("failure", "false", "success", False),
        ("failure", "", "success", False),
        ("cancelled", "", "success", False),
        # What overtook it is newer, so it runs with everything that this version brings.
        ("failure", "true", "success", True),
    ],
)
def test_a_version_is_released_unless_its_deployment_failed_or_was_refused(
    deploy: str, overtaken: str, image: str, released: bool
) -> None:
    values = {
        "needs.deploy.result": deploy,
        "needs.deploy.outputs.overtaken": overtaken,
        "needs.image.result": image,
        "needs.plan.outputs.release": "1.2.3",
        "github.event_name": "push",
    }
    condition = workflows.job("ci-cd/release").condition

    assert holds(condition, values) is released
    assert not holds(condition, values | {"needs.plan.outputs.release": ""})
    assert not holds(condition, values | {"github.event_name": "pull_request"})
    outputs = workflows.job("ci-cd/deploy").data["outputs"]
    assert outputs == {"overtaken": "${{ steps.order.outputs.overtaken }}"}


def test_the_required_check_waits_for_every_job_that_proves_something() -> None:
    proving = {job.id for job in JOBS if job.workflow == "ci-cd"} - {
        "required",
        "deploy",
        "release",
    }
    required = workflows.job("ci-cd/required")

    assert set(required.needs) == proving
    assert required.condition == "always()"


def test_actions_are_given_only_inputs_that_they_have(tmp_path: Path) -> None:
    """actionlint knows the inputs of well-known actions by their major version, not by commit."""
    folder = tmp_path / ".github" / "workflows"
    shutil.copytree(FOLDER, folder)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for path in folder.iterdir():
        text = re.sub(r"@[0-9a-f]{40} # (v\d+)\S*", r"@\1", path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")

    actionlint = Path(sys.executable).parent / "actionlint"
    done = subprocess.run([actionlint], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.stdout == "" and done.returncode == 0
