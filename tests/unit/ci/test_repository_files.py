"""Dependabot, pre-commit, the ignore list, owners and templates."""

import datetime
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.ci_scripts import ROOT, Git, Run

GITHUB = ROOT / ".github"
# Where each ecosystem of Dependabot looks, and what it must find there.
MANIFESTS = {
    "uv": "requirements*.in",
    "docker": "Dockerfile*",
    "docker-compose": "docker-compose*.yml",
    "github-actions": ".github/workflows/*.yml",
}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_dependabot_looks_weekly_at_everything_that_is_pinned_in_one_request_per_kind() -> None:
    updates = read(GITHUB / "dependabot.yml")["updates"]

    assert {update["package-ecosystem"] for update in updates} == set(MANIFESTS)
    for update in updates:
        for folder in update.get("directories") or [update["directory"]]:
            assert list((ROOT / folder.lstrip("/")).glob(MANIFESTS[update["package-ecosystem"]]))
        assert update["schedule"]["interval"] == "weekly"
        assert [group["patterns"] for group in update["groups"].values()] == [["*"]]
        assert update["cooldown"]["default-days"] >= 7


def test_dependabot_finds_every_list_of_python_packages() -> None:
    """It looks into a folder and into those right under it, no deeper."""
    (uv,) = (
        u for u in read(GITHUB / "dependabot.yml")["updates"] if u["package-ecosystem"] == "uv"
    )
    seen = {path for name in uv["directories"] for path in (ROOT / name.lstrip("/")).glob("*.in")}
    seen |= {
        path for name in uv["directories"] for path in (ROOT / name.lstrip("/")).glob("*/*.in")
    }

    tracked = subprocess.run(
        ["git", "ls-files", "*.in"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {ROOT / name for name in tracked.stdout.split()} <= seen


def test_dependabots_titles_pass_the_check_of_titles(run: Run) -> None:
    for update in read(GITHUB / "dependabot.yml")["updates"]:
        message = update["commit-message"]
        assert message["include"] == "scope"
        title = f"{message['prefix']}(deps): bump the group with 3 updates"
        assert run("release.py", "check-title", title).returncode == 0


def hooks() -> list[dict[str, Any]]:
    (local,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    return list(local["hooks"])


def test_every_check_of_the_lint_step_also_runs_before_a_commit() -> None:
    checks = (ROOT / "scripts" / "lib" / "checks.sh").read_text(encoding="utf-8")
    steps = re.search(r"^lint_steps\(\) \{\n(.*?)^\}", checks, re.MULTILINE | re.DOTALL)
    assert steps
    commands = re.findall(r'^  step (?:"[^"]+"|\S+) (.+)$', steps[1], re.MULTILINE)

    entries = " ".join(hook["entry"] for hook in hooks())
    assert len(commands) >= 6
    for command in [*commands, "bandit", "scan_secrets.py"]:
        # A function of the script stands for the program in its name; what only checks there,
        # black, may repair here.
        assert command.removesuffix("_step").partition(" --check")[0] in entries


def test_a_hook_that_looks_at_whole_folders_starts_for_each_of_them() -> None:
    for hook in hooks():
        folders = [word for word in hook["entry"].split() if (ROOT / word).is_dir()]
        if folders and hook.get("pass_filenames") is False:
            assert all(re.match(hook["files"], f"{folder}/x.py") for folder in folders)


def test_a_hook_uses_the_pinned_tools_of_the_project() -> None:
    assert {hook["language"] for hook in hooks()} == {"system"}
    assert all(hook["entry"].startswith("./scripts/") for hook in hooks())


def test_precommit_understands_its_configuration() -> None:
    program = Path(sys.executable).parent / "pre-commit"

    subprocess.run(
        [program, "validate-config", ".pre-commit-config.yaml"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )


def test_every_exception_of_the_image_scan_has_a_reason_and_a_last_day() -> None:
    ignored = read(ROOT / ".trivyignore.yaml")

    for entry in ignored["vulnerabilities"]:
        assert re.fullmatch(r"(CVE|GHSA)-[\w-]+", entry["id"])
        assert isinstance(entry["expired_at"], datetime.date)
        assert len(entry["statement"].split()) >= 5


def test_what_has_owners_exists_and_no_owner_is_made_up() -> None:
    lines = (GITHUB / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    owned = [line.split() for line in lines if line and not line.startswith("#")]

    for pattern, *owners in owned:
        assert list(ROOT.glob(pattern.lstrip("/"))) and owners
        assert not re.search(r"your|example|owner|octo", " ".join(owners), re.IGNORECASE)


def test_owners_are_written_for_what_exists(run: Run, git: Git) -> None:
    (git.folder / ".github").mkdir()

    done = run("codeowners.py", "@me", "@my-org/team", "--folder", git.folder)

    assert done.returncode == 0, done.stderr
    text = (git.folder / ".github" / "CODEOWNERS").read_text()
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    assert len(rows) >= 5
    for pattern, *owners in rows:
        assert list(ROOT.glob(pattern.strip("/")))
        assert owners == ["@me", "@my-org/team"]


@pytest.mark.parametrize("owner", ["me", "@", "me@example.org", "@me; rm"])
def test_what_is_no_owner_is_refused(run: Run, git: Git, owner: str) -> None:
    done = run("codeowners.py", owner, "--folder", git.folder)

    assert done.returncode == 1 and "no GitHub user or team" in done.stderr


@pytest.mark.parametrize("path", sorted((GITHUB / "ISSUE_TEMPLATE").glob("[bf]*.yml")))
def test_an_issue_form_has_what_github_asks_of_one(path: Path, run: Run) -> None:
    form = read(path)

    assert form["name"] and form["description"]
    for field in form["body"]:
        assert field["type"] in ("textarea", "input", "dropdown") and field["attributes"]["label"]
    ids = [field["id"] for field in form["body"]]
    assert len(set(ids)) == len(ids)
    title = f"{form['title']}something"
    assert run("release.py", "check-title", title).returncode == 0
