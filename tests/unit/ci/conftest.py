"""The programs in scripts/ci, run as a workflow runs them."""

import sys
from pathlib import Path

import pytest

from tests.support.ci_scripts import SCRIPTS, Git
from tests.support.processes import Programs
from tests.support.ci_scripts import Deployment

# They are started by path and no package, so tests import them by their file's name.
sys.path.insert(0, str(SCRIPTS))


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return Git(tmp_path / "repository")


@pytest.fixture
def deployment(git: Git, programs: Programs, tmp_path: Path) -> Deployment:
    return Deployment(git, programs, tmp_path / "the host")
