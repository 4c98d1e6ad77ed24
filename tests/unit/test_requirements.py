"""The lock files: complete, consistent, and naming no place to download from."""

import re
import subprocess
import sys

import pytest

from tests.support.paths import ROOT
from tests.support.processes import output_of, run

LOCKS = [
    "requirements.txt",
    "requirements-granian.txt",
    "requirements-dev.txt",
    "docker/requirements-debug.txt",
    "scripts/requirements-checkov.txt",
    "tests/fuzz/requirements.txt",
    "tests/performance/requirements.txt",
    "tests/performance/requirements-load.txt",
    "tests/performance/requirements-sdk.txt",
    "tests/terraform/requirements.txt",
]


def pins(name: str) -> dict[str, str]:
    """Every requirement line of a lock, with its continuation lines joined, by what it pins."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return {line.split("--hash")[0].strip(): line for line in lines}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_hashes_names_no_place_and_is_compiled_for_every_python(lock: str) -> None:
    text = (ROOT / lock).read_text()

    for pin, line in pins(lock).items():
        assert re.fullmatch(r"[a-z0-9-]+==[\w.!]+( ; .+)?", pin), pin
        assert "--hash=sha256:" in line
    assert not re.search(r"://|--index|--extra-index|--find-links|file:| /\w", text)
    # Dependabot compiles it by this line.
    assert "--universal --python-version 3.11 " in text.splitlines()[1]


@pytest.mark.parametrize("lock", ["requirements-dev.txt", "requirements-granian.txt"])
def test_development_and_another_server_use_the_versions_that_are_shipped(lock: str) -> None:
    assert set(pins("requirements.txt")) <= set(pins(lock))


def test_the_bench_measures_the_versions_that_are_shipped() -> None:
    """They are installed last, over those that its peers were locked with."""
    program = (
        "source scripts/lib/common.sh; environment_is_current() { true; };"
        ' ensure_environment bench; echo "${PINNED[@]}"'
    )

    locks = subprocess.check_output(["bash", "-c", program], cwd=ROOT, text=True)

    assert locks == "tests/performance/requirements.txt requirements-granian.txt\n"


def test_no_package_in_the_environment_lacks_a_requirement() -> None:
    """pip installs the pins without resolving; its own check says whether they suffice."""
    output_of(run([sys.executable, "-m", "pip", "check"]))
