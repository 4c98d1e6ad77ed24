"""A first clone on another system."""

import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.processes import run


def test_a_clone_on_windows_has_the_line_ends_that_linux_needs(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("NO GIT REPOSITORY HERE: line ends of a clone cannot be seen")
    clone = ("git", "clone", "--quiet", "--depth=1", "--config", "core.autocrlf=true")
    subprocess.run([*clone, f"file://{ROOT}", tmp_path / "clone"], check=True)

    listed = run(["git", "ls-files", "--eol"], cwd=tmp_path / "clone").stdout.splitlines()

    assert listed and [line for line in listed if "w/crlf" in line or "w/mixed" in line] == []
    script = (tmp_path / "clone" / "scripts" / "setup.sh").read_bytes()
    assert script.startswith(b"#!/usr/bin/env bash\n")
