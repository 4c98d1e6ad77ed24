"""Dependabot, pre-commit, release-please, line ends, and the help of every script."""

import datetime
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.test_setup import CHANGES
from tests.support.paths import ROOT
from tests.support.processes import run

FOLDERS = (ROOT / "scripts", ROOT / "scripts" / "ci", ROOT / ".ci")
SCRIPTS = [
    path
    for folder in FOLDERS
    for path in sorted(folder.iterdir())
    if path.is_file() and os.access(path, os.X_OK)
]


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def tracked(pattern: str) -> set[Path]:
    return {ROOT / name for name in run(["git", "ls-files", pattern]).stdout.split()}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_help_shows_usage_and_exit_status_without_any_package(script: Path, tmp_path: Path) -> None:
    start = [sys.executable, "-S"] if script.suffix == ".py" else []
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = run([*start, script, "--help"], cwd=tmp_path, env=path)
    assert (done.returncode, done.stderr) == (0, "")
    assert script.name in done.stdout and "exit status" in done.stdout.lower()
    assert not list(tmp_path.iterdir())


def test_dependabot_finds_every_list_of_python_packages() -> None:
    """It looks into a folder and into those right under it, no deeper."""
    updates = read(".github/dependabot.yml")["updates"]
    (uv,) = (update for update in updates if update["package-ecosystem"] == "uv")
    folders = [ROOT / name.lstrip("/") for name in uv["directories"]]
    seen = {
        path for folder in folders for level in ("*.in", "*/*.in") for path in folder.glob(level)
    }
    assert tracked("*.in") <= seen


def test_every_exception_of_the_image_scan_has_a_reason_and_a_last_day() -> None:
    for entry in read(".trivyignore.yaml")["vulnerabilities"]:
        assert re.fullmatch(r"(CVE|GHSA)-[\w-]+", entry["id"])
        assert isinstance(entry["expired_at"], datetime.date)
        assert entry["statement"]


def test_precommit_understands_its_configuration() -> None:
    program = Path(sys.executable).parent / "pre-commit"
    assert run([program, "validate-config"]).returncode == 0


# Put together here, so that no scan of this repository finds them.
@pytest.mark.parametrize(
    "secret", ["AKIA" + "Z7VRSQ5TJN2XMKLD", "-----BEGIN RSA " + "PRIVATE KEY-----"]
)
@pytest.mark.parametrize("folder", ["app", "tests"])
def test_secret_hooks_find_a_key_silently(secret: str, folder: str, tmp_path: Path) -> None:
    file = tmp_path / f"{folder}.py"
    file.write_text(f"key = '{secret}'\n")
    (local,) = read(".pre-commit-config.yaml")["repos"]
    wanted = "secrets-in-tests" if folder == "tests" else "secrets"
    (entry,) = (hook["entry"] for hook in local["hooks"] if hook["id"] == wanted)
    program, *options = entry.split()

    command = [Path(sys.executable).parent / Path(program).name, *options, file.name]
    done = run(command, cwd=tmp_path)

    assert done.returncode == 1 and f"{folder}.py:1" in done.stdout
    assert "AKIA" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("title", "accepted"),
    [
        ("fix(cache): keep the TTL of a refreshed entry", True),
        ("feat!: tokens are required", True),
        ("build(deps): bump the python group with 3 updates", True),
        ("chore(main): release 1.2.3", True),
        *[(title, False) for title in ("Update README", "feature: a new type", "fix:no space")],
        *[(title, False) for title in ("--help", "fix: ")],
    ],
)
def test_a_pull_request_has_a_conventional_title(title: str, accepted: bool) -> None:
    (step,) = read(".github/workflows/pull-request.yml")["jobs"]["title"]["steps"]
    done = run(["bash", "-e", "-c", step["run"]], env={"TITLE": title})
    assert (done.returncode == 0) is accepted


def test_release_please_raises_the_version_that_the_service_reports() -> None:
    config = json.loads((ROOT / "release-please-config.json").read_text(encoding="utf-8"))

    service, chart = config["extra-files"]
    lines = (ROOT / service).read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith("__version__ = "))
    assert re.fullmatch(r'__version__ = "\d+\.\d+\.\d+"  # x-release-please-version', line)
    lines = (ROOT / chart["path"]).read_text(encoding="utf-8").splitlines()
    marked = [line.split(":")[0] for line in lines if "x-release-please-version" in line]
    assert marked == ["version", "appVersion"]


def test_a_clone_on_windows_has_the_line_ends_that_linux_needs(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("NO GIT REPOSITORY HERE: line ends of a clone cannot be seen")
    clone = ("git", "clone", "--quiet", "--depth=1", "--config", "core.autocrlf=true")
    subprocess.run([*clone, f"file://{ROOT}", tmp_path / "clone"], check=True)

    listed = run(["git", "ls-files", "--eol"], cwd=tmp_path / "clone").stdout.splitlines()

    assert listed and [line for line in listed if "w/crlf" in line or "w/mixed" in line] == []
    script = (tmp_path / "clone" / "scripts" / "setup.sh").read_bytes()
    assert script.startswith(b"#!/usr/bin/env bash\n")


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_slow_test_changes_in_a_file_is_there(name: str) -> None:
    (before, _after), *_ = CHANGES[name]
    path = ROOT / name.replace("/.env", "/.env.example")
    assert before in path.read_text(encoding="utf-8")
