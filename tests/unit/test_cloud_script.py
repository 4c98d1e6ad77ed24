"""scripts/cloud.sh with stand-ins for tofu and tflint, as a workflow and as a person run it."""

import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import workflows
from tests.support.paths import ROOT
from tests.support.processes import Programs, output_of, run

# Notes its arguments without the folder, and plans one change.
TOFU = """
if [[ $2 == plan ]]; then
  echo "Plan: 1 to add"
  exit "${PLANNED:-0}"
fi
"""


@pytest.fixture(name="tree")
def fixture_tree(tmp_path: Path) -> Path:
    """A repository with one stack, as far as the script reads it."""
    tree = tmp_path / "repository"
    folder = tree / "infrastructure/terraform/aws"
    folder.mkdir(parents=True)
    for name in ("main.tf", "staging.backend.hcl", "staging.tfvars"):
        (folder / name).touch()
    (tree / "scripts/lib").mkdir(parents=True)
    for script in ("cloud.sh", "lib/common.sh"):
        shutil.copy2(ROOT / "scripts" / script, tree / "scripts" / script)
    return tree


def cloud(
    tree: Path, programs: Programs, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    programs.add("tofu", TOFU)
    return run([tree / "scripts/cloud.sh", *arguments], env={"PATH": programs.path} | environment)


def calls(tree: Path, programs: Programs) -> list[str]:
    folder = f" -chdir={tree}/infrastructure/terraform/aws"
    return [call.replace(folder, "") for call in programs.calls]


def test_a_check_asks_no_cloud_and_runs_the_linter_that_is_installed(
    tree: Path, programs: Programs
) -> None:
    programs.add("tflint")
    output_of(cloud(tree, programs, "check", "aws"))
    init, *others = calls(tree, programs)[1:]
    assert calls(tree, programs)[0] == "tofu fmt -check -recursive .."
    assert init == "tofu init -backend=false -input=false"
    assert [other.split(" -")[0] for other in others] == ["tofu validate", "tofu test", "tflint"]


def test_terraform_does_the_same(tree: Path, programs: Programs) -> None:
    programs.add("terraform")
    output_of(cloud(tree, programs, "check", "aws", TOOL="terraform"))
    assert {call.split()[0] for call in calls(tree, programs)} <= {"terraform", "tflint"}


def test_a_proposal_reads_nothing_of_what_runs_and_is_shown(
    tree: Path, programs: Programs, tmp_path: Path
) -> None:
    summary = tmp_path / "summary"
    done = cloud(tree, programs, "propose", "aws", "staging", GITHUB_STEP_SUMMARY=str(summary))
    assert output_of(done) == "Plan: 1 to add\n"
    assert summary.read_text(encoding="utf-8") == "```\nPlan: 1 to add\n```\n"
    init, plan = calls(tree, programs)
    assert init == "tofu init -input=false -reconfigure -backend-config=staging.backend.hcl"
    assert {"-refresh=false", "-lock=false", "-var-file=staging.tfvars"} <= set(plan.split())


@pytest.mark.parametrize(
    ("command", "planned", "status"),
    [
        ("propose", 1, 1),
        ("review", 0, 0),
        ("review", 2, 0),
        ("review", 1, 1),
        ("drift", 0, 0),
        ("drift", 2, 2),
        ("drift", 1, 1),
    ],
)
def test_a_difference_fails_only_as_drift_and_an_error_always(
    tree: Path, programs: Programs, command: str, planned: int, status: int
) -> None:
    done = cloud(tree, programs, command, "aws", "staging", PLANNED=str(planned))
    assert done.returncode == status
    # It is shown, whatever its status.
    assert done.stdout == "Plan: 1 to add\n"


def test_a_person_is_asked_before_an_apply_and_the_pipeline_is_not(
    tree: Path, programs: Programs
) -> None:
    for environment in ({}, {"CI": "true"}):
        output_of(cloud(tree, programs, "apply", "aws", "staging", **environment))
    person, pipeline = [call for call in calls(tree, programs) if "tofu apply" in call]
    assert person == "tofu apply -var-file=staging.tfvars"
    assert "-auto-approve" in pipeline.split()


def test_a_person_is_asked_on_a_terminal_even_if_ci_is_set(tree: Path, programs: Programs) -> None:
    programs.add("tofu", TOFU)
    ours, terminal = pty.openpty()
    with os.fdopen(ours), os.fdopen(terminal) as stdin:
        subprocess.run(
            [tree / "scripts/cloud.sh", "apply", "aws", "staging"],
            env={"PATH": programs.path, "CI": "true"},
            stdin=stdin,
            check=True,
            timeout=30,
        )
    assert calls(tree, programs)[-1] == "tofu apply -var-file=staging.tfvars"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "unknown command (none)"),
        (("destroy", "aws"), "unknown command destroy"),
        (("check", "hetzner"), "there is no cloud 'hetzner'"),
        (("check", ""), "there is no cloud ''"),
        (("check", "../scripts"), "there is no cloud '../scripts'"),
        (("apply", "aws"), "name an environment"),
        (("apply", "aws", "production"), "terraform/aws/production.backend.hcl is missing"),
        (("apply", "aws", "staging", "-destroy"), "too many arguments: -destroy"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_runs(
    tree: Path, programs: Programs, arguments: tuple[str, ...], said: str
) -> None:
    done = cloud(tree, programs, *arguments)
    assert (done.returncode, programs.calls) == (1, [])
    assert said in done.stderr


def test_the_jobs_become_who_may_do_what_they_do() -> None:
    """A pull request only ever runs `propose`, as the identity that may only read."""
    asked = {
        job: next(step["with"] for step in workflows.job(job).data["steps"] if "with" in step)
        for job in ("clouds/propose", "clouds/review", "clouds/apply")
    }
    for job, identity in (("propose", "plan"), ("review", "main"), ("apply", "apply")):
        assert asked[f"clouds/{job}"]["identity"] == f"${{{{ matrix.roles.{identity} }}}}"
    assert asked["clouds/propose"]["command"] == "propose"
    assert asked["clouds/apply"]["command"] == "apply"
    scheduled = "github.event_name == 'schedule' && 'drift' || 'review'"
    assert asked["clouds/review"]["command"] == f"${{{{ {scheduled} }}}}"
