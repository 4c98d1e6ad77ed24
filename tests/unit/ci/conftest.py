"""The programs in scripts/ci, run as a workflow runs them."""

import sys
from pathlib import Path

import pytest

from tests.support.ci_scripts import SCRIPTS, Git, Programs, Run, run_script
from tests.support.oci_archive import OciArchive
from tests.support.remote_deployment import Deployment

# Does what `skopeo copy` does as far as the scripts look: a file, or the digest that arrived.
SKOPEO = """
while (($#)); do
  case $1 in
    --digestfile) echo "$ARRIVED" >"$2" && shift ;;
    docker-archive:*) file=${1#docker-archive:} && : >"${file%%:*}" ;;
  esac
  shift
done
"""
# Writes the report it is asked for: the one in $REPORT for findings.
TRIVY = """
format=json
while (($#)); do
  case $1 in
    --format) format=$2 && shift ;;
    --output) output=$2 && shift ;;
  esac
  shift
done
if [[ $format == json ]]; then echo "$REPORT" >"$output"; else echo "{}" >"$output"; fi
"""

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


@pytest.fixture
def deployment(git: Git, programs: Programs, tmp_path: Path) -> Deployment:
    return Deployment(git, programs, tmp_path / "the host")


@pytest.fixture
def image(tmp_path: Path) -> tuple[Path, str]:
    """(archive, digest) of an image for two platforms."""
    made = OciArchive()
    top = made.index([made.platform("amd64", [1]), made.platform("arm64", [1])])
    return made.write(tmp_path / "image.tar", [top]), top["digest"]


@pytest.fixture
def tools(programs: Programs) -> Programs:
    programs.add("skopeo", SKOPEO)
    programs.add("trivy", TRIVY)
    for name in ("docker", "cosign", "gh"):
        programs.add(name)
    return programs
