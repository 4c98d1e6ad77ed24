"""docs/CI-CD.md says what the workflows do, no more and no less."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.support import workflows
from tests.support.workflows import ROOT

DOCUMENT = "docs/CI-CD.md"


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def described_branches() -> dict[str, str]:
    return {code(row[0])[0]: code(row[1])[0] for row in workflows.table(DOCUMENT, "branch")}


def test_every_secret_and_variable_is_in_the_table_and_none_else() -> None:
    described = {(code(row[0])[0], row[1]) for row in workflows.table(DOCUMENT, "name")}

    used = set()
    for name in workflows.NAMES:
        data = workflows.load(name)
        used |= {(secret, "secret") for secret in workflows.named("secrets", data)}
        used |= {(variable, "variable") for variable in workflows.named("vars", data)}
    assert used == described


def test_what_an_environment_protects_is_used_only_in_its_job() -> None:
    rows = workflows.table(DOCUMENT, "name")
    protected = {code(row[0])[0] for row in rows if row[2] == "environment"}

    users = {
        (name, job.name)
        for job in workflows.jobs()
        for kind in ("secrets", "vars")
        for name in workflows.named(kind, job.data) & protected
    }
    assert users == {(name, "ci-cd/deploy") for name in protected}


def test_the_jobs_run_in_the_order_and_with_the_rights_that_are_described() -> None:
    described = {
        f"{workflow}/{job}": (
            {name for name in after.split(", ") if name},
            set(permissions.split(", ")),
        )
        for workflow, job, after, permissions in workflows.table(DOCUMENT, "workflow")
    }

    real = {
        job.name: (
            set(job.needs),
            {f"{scope}: {access}" for scope, access in job.data["permissions"].items()},
        )
        for job in workflows.jobs()
    }
    assert real == described


def drawn_edges() -> set[tuple[str, str]]:
    """The arrows of the picture, labels left out."""
    markdown = (ROOT / DOCUMENT).read_text(encoding="utf-8")
    picture = re.search(r"```mermaid\n(.*?)```", markdown, re.DOTALL)
    assert picture
    bare = re.sub(r"\[.*?\]|\{\{.*?\}\}", "", picture[1])
    bare = re.sub(r"-- .*? -->", "-->", bare)
    return set(re.findall(r"^ *(\w+) --> (\w+)$", bare, re.MULTILINE))


def test_the_picture_shows_the_jobs_in_their_order() -> None:
    jobs = {job.id: job for job in workflows.jobs() if job.workflow != "security-scan"}
    first, last = "build", "publish"  # of the image job, which the picture draws as a box

    needed = []
    for job in jobs.values():
        for need in job.needs:
            before = last if need == "image" and job.id != "required" else need
            after = first if job.id == "image" else job.id
            needed.append((before, after))
    edges = drawn_edges()

    assert edges <= set(needed)
    # An arrow may be left out only where the way is drawn through other jobs, or through the box.
    ways = edges | {(first, "image")}
    assert not [edge for edge in needed if not leads(ways, *edge)]


def leads(edges: set[tuple[str, str]], start: str, end: str) -> bool:
    return any(a == start and (b == end or leads(edges, b, end)) for a, b in edges)


@pytest.mark.parametrize(("branch", "environment"), described_branches().items())
def test_a_branch_goes_to_the_environment_in_the_table(branch: str, environment: str) -> None:
    planned = subprocess.run(
        [
            *(sys.executable, ROOT / "scripts/ci/plan.py", "--event", "push", "--branch", branch),
            *("--environments", "production staging", "--visibility", "public"),
        ],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"\nenvironment={environment}\n" in planned.stdout
    assert f"\ntags={branch} sha-" in planned.stdout


def test_the_branches_that_start_the_pipeline_are_those_of_the_table() -> None:
    assert set(workflows.load("ci-cd")["on"]["push"]["branches"]) == set(described_branches())


def test_only_its_branch_may_deploy_to_a_protected_environment() -> None:
    printed = subprocess.run(
        [ROOT / "scripts/ci/protect-branch.sh", "--dry-run"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    policies = re.findall(
        r'environments/(\w+)/deployment-branch-policies\n\{"name": "(\w+)"', printed
    )
    assert {branch: environment for environment, branch in policies} == described_branches()
    assert re.search(r'environments/production\n\{"reviewers": \[\{', printed)
    ruleset = re.search(r"rulesets\n(\{.*?\n\})", printed, re.DOTALL)
    assert ruleset
    rules = {rule["type"]: rule.get("parameters") for rule in json.loads(ruleset[1])["rules"]}
    checks = rules["required_status_checks"]
    assert checks["required_status_checks"] == [
        {"context": workflows.job("ci-cd/required").data["name"]}
    ]
