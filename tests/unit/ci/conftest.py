"""The programs in scripts/ci, run as a workflow runs them."""

import sys
from pathlib import Path

import pytest

from tests.support.ci_scripts import SCRIPTS, Git, Programs, Run, run_script

# Started by path, the programs find each other without a package; so do the tests that import them.
sys.path.insert(0, str(SCRIPTS))


@pytest.fixture
def run() -> Run:
    """run("gate.py", "--dry-run", env={...}): the process, ended, with what it printed."""
    return run_script


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path / "programs")


@pytest.fixture
def git(tmp_path: Path) -> Git:
    folder = tmp_path / "repository"
    folder.mkdir()
    return Git(folder)
