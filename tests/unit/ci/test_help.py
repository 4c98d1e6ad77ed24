"""Every script says how to use it, and what its exit status means."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.workflows import ROOT

FOLDERS = (ROOT / "scripts", ROOT / "scripts" / "ci", ROOT / ".ci")
SCRIPTS = [
    path
    for folder in FOLDERS
    for path in sorted(folder.iterdir())
    if path.is_file() and os.access(path, os.X_OK)
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_help_shows_the_usage_and_the_exit_status_and_does_nothing(
    script: Path, tmp_path: Path
) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    done = subprocess.run(
        [script, "--help"],
        cwd=tmp_path,
        env={"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert script.name in done.stdout
    assert "exit status" in done.stdout.lower()
    assert not list(tmp_path.iterdir())


PROGRAMS = [path for path in SCRIPTS if path.suffix == ".py"]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_help_needs_no_package(program: Path) -> None:
    """Whoever has just cloned the repository asks first, and makes the environment later."""
    done = subprocess.run(
        [sys.executable, "-S", program, "--help"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
