"""scripts/lib/promote.py: which images reach staging and production, and by which pull requests."""

import importlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import workflows
from tests.support.ci_scripts import Git
from tests.support.paths import ROOT
from tests.support.processes import Programs, output_of, run

SCRIPT = ROOT / "scripts" / "lib" / "promote.py"
NAME, DIGEST, OTHER = "ghcr.io/o/n", f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
ENVIRONMENTS = sorted((ROOT / "environments").glob("*/values.yaml"))
VALUES = """# Written by the pipeline.
image:
  repository: web
  tag: ""
  digest: ""
existingSecret: web
"""
promotion: Any = importlib.import_module("promote")


@pytest.fixture(name="git")
def git_fixture(tmp_path: Path) -> Git:
    """A clone of a repository whose environments run nothing yet."""
    git = Git(tmp_path / "repository")
    for name in ("development", "staging", "production"):
        git.write(f"environments/{name}/values.yaml", VALUES)
    git.commit("feat: start")
    git("init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "origin"))
    git("remote", "add", "origin", str(tmp_path / "origin"))
    push(git)
    return git


@pytest.fixture(name="programs")
def programs_fixture(tmp_path: Path) -> Programs:
    programs = Programs(tmp_path / "programs")
    programs.add("gh")
    programs.add("cosign")
    return programs


def push(git: Git) -> None:
    git("push", "--quiet", "origin", "HEAD:main")
    git("fetch", "--quiet", "origin")


def promote(
    git: Git, programs: Programs, command: str, sha: str = "", digest: str = DIGEST
) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": programs.path, "HOME": os.environ["HOME"], "GITHUB_REPOSITORY": "o/n"}
    settings |= {"IMAGE": NAME, "DIGEST": digest, "GITHUB_SHA": sha}
    return run([SCRIPT, command], cwd=git.folder, env=settings)


def merge(git: Git, target: str) -> str:
    """The pull request's commit on main, as a squash merge makes it."""
    git("switch", "--quiet", "main")
    git("fetch", "--quiet", "origin")
    git("merge", "--quiet", "--squash", f"origin/promote/{target}")
    commit = git.commit(f"chore({target}): run it")
    push(git)
    return commit


def change(git: Git) -> str:
    git("switch", "--quiet", "main")
    commit = git.commit("feat: more")
    push(git)
    return commit


def read(git: Git, environment: str, at: str = "origin/main") -> str:
    return git("show", f"{at}:environments/{environment}/values.yaml")


def promoted_to_staging(git: Git, programs: Programs, digest: str = DIGEST) -> str:
    """The built commit; staging's own commit is the tip of main."""
    built = change(git)
    output_of(promote(git, programs, "propose", built, digest))
    merge(git, "staging")
    return built


def requests(programs: Programs) -> list[str]:
    """The calls of gh that change something, without their texts."""
    calls = [call for call in programs.calls if call.startswith("gh pr ")]
    return [call.partition(" --title")[0] for call in calls if " list " not in call]


def test_the_image_of_a_run_is_proposed_for_staging_and_then_for_production(
    git: Git, programs: Programs
) -> None:
    built = change(git)
    output_of(promote(git, programs, "propose", built))
    asked = [
        "gh pr create --base main --head promote/staging",
        "gh pr merge --auto --squash promote/staging",
    ]
    assert requests(programs) == asked
    lines = f"image:\n  repository: {NAME}\n  tag: sha-{built}\n  digest: {DIGEST}\n"
    rest = VALUES.partition("existingSecret")[2]
    for name in ("development", "staging"):
        text = read(git, name, "promote/staging")
        assert lines in text and text.endswith(rest.rstrip())

    merged = merge(git, "staging")
    # This commit builds no image: the pipeline does not go round in circles.
    output_of(promote(git, programs, "propose", merged, ""))
    # It waits for people.
    assert requests(programs) == [*asked, "gh pr create --base main --head promote/production"]

    merge(git, "production")
    assert read(git, "production") == read(git, "staging")
    output_of(promote(git, programs, "check"))


def test_an_open_request_is_brought_up_to_date(git: Git, programs: Programs) -> None:
    output_of(promote(git, programs, "propose", change(git)))
    programs.add("gh", "[[ $2 != list ]] || echo 7")
    newer = change(git)
    output_of(promote(git, programs, "propose", newer, OTHER))
    assert "gh pr edit 7" in requests(programs)
    assert f"tag: sha-{newer}" in read(git, "staging", "origin/promote/staging")


def test_a_late_run_does_not_bring_an_older_image_back(git: Git, programs: Programs) -> None:
    older = change(git)
    promoted_to_staging(git, programs)
    before = programs.calls
    said = output_of(promote(git, programs, "propose", older, OTHER))
    assert "which is not older" in said and programs.calls == before


def test_a_request_that_may_not_merge_itself_waits_for_a_person(
    git: Git, programs: Programs
) -> None:
    programs.add("gh", '[[ $2 != merge ]] || { echo "not allowed" >&2; exit 1; }')
    said = output_of(promote(git, programs, "propose", change(git)))
    assert "waits for a person" in said and "not allowed" in said


def give_production(git: Git, text: str) -> None:
    git("switch", "--quiet", "--force-create", "other")
    git.write("environments/production/values.yaml", text)
    git.commit("chore(production): run it")


def test_production_may_have_what_staging_had_before(git: Git, programs: Programs) -> None:
    first = promoted_to_staging(git, programs)
    text = read(git, "staging")
    promoted_to_staging(git, programs, OTHER)
    give_production(git, text)
    output_of(promote(git, programs, "check"))
    assert programs.calls[-1].startswith(f"cosign verify {NAME}@{DIGEST} ")
    assert programs.calls[-1].endswith(f"--certificate-github-workflow-sha {first}")


@pytest.mark.parametrize("wrong", ["digest", "commit", "staging in the same request"])
def test_production_is_refused_what_staging_never_ran(
    git: Git, programs: Programs, wrong: str
) -> None:
    built = promoted_to_staging(git, programs)
    old, new = (built, "a" * 40) if wrong == "commit" else (DIGEST, OTHER)
    give_production(git, read(git, "staging").replace(old, new))
    if "staging" in wrong:
        git.write("environments/staging/values.yaml", read(git, "production", "HEAD"))
        git.commit("chore(staging): run it too")
    done = promote(git, programs, "check")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "staging never ran" in done.stderr


def test_production_is_refused_what_main_did_not_sign(git: Git, programs: Programs) -> None:
    promoted_to_staging(git, programs)
    give_production(git, read(git, "staging"))
    programs.add("cosign", "[[ $1 == version ]]")
    done = promote(git, programs, "check")
    assert done.returncode == 1 and "has no valid signature" in done.stderr


GOOD = (NAME, f"sha-{'a' * 40}", DIGEST)
LINES = f"  repository: {NAME}\n  tag: {GOOD[1]}\n  digest: {DIGEST}\n"
EVIL = f"  digest: {OTHER}\n"


@pytest.mark.parametrize(
    "text",
    [
        f"image:\n{LINES}",
        f"# Ours.\nimage:\n  # By the pipeline.\n{LINES}  pullSecrets: [{{name: registry}}]\n",
        f"replicaCount: 2\n\nimage:\n{LINES.replace(DIGEST, repr(DIGEST))}".replace("'", '"'),
        f"image:\n{LINES}other:\n{EVIL}  tag: x  # pinned\n",
    ],
)
def test_an_image_is_read_as_argo_cd_reads_it(text: str) -> None:
    assert promotion.read(text) == GOOD
    assert tuple(yaml.safe_load(text)["image"][name] for name in ("tag", "digest")) == GOOD[1:]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "image: {}\n",
        f"image:\n{LINES.replace('digest', 'digests')}",
        # A value with a comment was once taken for none, and passed as "runs no image yet".
        f"image:\n{LINES}".replace("\n  digest", "  # new\n  digest"),
        f"image:\n{EVIL}  # good\nother:\n{LINES}",
        f"image:\n{LINES}{EVIL}",
        f"image:\n{LINES}{EVIL.replace('digest', repr('digest'))}",
        f"image:\n{LINES}  <<: *other\n",
        f"image:\n{LINES}image:\n{EVIL}",
        f'image:\n{LINES}"image":\n{EVIL}',
        f"image:\n{LINES}# \N{LINE SEPARATOR}image:\n{EVIL}",
        f"image:\n{LINES}---\n",
        f" x: '\nimage:\n{LINES}  '\n image:\n {EVIL}",
        f"image:\n{LINES}".replace("sha-", "--output=sha-"),
    ],
)
def test_other_forms_which_could_mean_another_image_are_refused(text: str, git: Git) -> None:
    assert promotion.read(text) is None
    git.write("environments/production/values.yaml", text)
    done = run([SCRIPT, "check"], cwd=git.folder)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "must name its image as the pipeline does" in done.stderr


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.parent.name)
def test_the_present_environments_have_this_form(path: Path) -> None:
    assert promotion.read(path.read_text(encoding="utf-8"))


def test_other_values_of_an_environment_stay(git: Git, programs: Programs) -> None:
    others = "edge:\n  image:\n  tag: 1.30\n"
    git.write("environments/staging/values.yaml", f"{others}{VALUES}")
    built = change(git)
    output_of(promote(git, programs, "propose", built))
    text = read(git, "staging", "promote/staging")
    assert text.startswith(others) and f"  tag: sha-{built}\n" in text


def test_an_environment_may_be_removed(git: Git, programs: Programs) -> None:
    promoted_to_staging(git, programs)
    for name in ("production", "development"):
        (git.folder / f"environments/{name}/values.yaml").unlink()
    removed = change(git)
    assert "no image yet" in output_of(promote(git, programs, "check"))
    output_of(promote(git, programs, "propose", removed, OTHER))
    output_of(promote(git, programs, "propose", merge(git, "staging"), ""))
    assert not [call for call in requests(programs) if "production" in call]


def test_an_environment_that_runs_nothing_is_not_refused(git: Git, programs: Programs) -> None:
    assert "no image yet" in output_of(promote(git, programs, "check"))
    assert not programs.calls


def test_only_a_digest_that_was_published_is_proposed() -> None:
    job = workflows.job("ci-cd/promote")
    (step,) = [step for step in job.data["steps"] if "promote.py propose" in step.get("run", "")]
    assert step["env"]["DIGEST"] == "${{ needs.publish.outputs.digest }}"
    assert job.data["needs"] == ["plan", "required", "publish"]


def test_the_check_is_a_part_of_what_main_requires() -> None:
    job = workflows.job("ci-cd/promotion")
    assert any("promote.py check" in step.get("run", "") for step in job.data["steps"])
    assert job.condition == "needs.plan.outputs.promotion == 'true'"
    assert "promotion" in workflows.job("ci-cd/required").data["needs"]
