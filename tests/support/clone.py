"""A copy of the project in its own folder, where scripts may build and start what they like."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.processes import run

PARTS = ("app", "scripts", "requirements.txt", "requirements-dev.txt", "pyproject.toml")

# Nothing of the developer's settings, of the service or of tools, but how to reach an index.
KEPT = ("PATH", "HOME", "LANG", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


class Clone:
    def __init__(self, folder: Path, *, copy: bool = True) -> None:
        """With copy=False, the folder contains a clone already."""
        self.folder = folder
        self.venv = folder / ".venv"
        if not copy:
            return
        folder.mkdir()
        for part in PARTS:
            source, target = ROOT / part, folder / part
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)

    def stamp(self) -> None:
        """Have the scripts take `.venv`, which must have a Python, for complete and up to date."""
        program = "source scripts/lib/common.sh; stamp requirements.txt requirements-dev.txt"
        command = ["bash", "-c", f'{program} >"$VENV/stamp"']
        subprocess.run(command, cwd=self.folder, check=True)

    def run(
        self, script: str, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return run(
            [self.folder / "scripts" / script, *arguments],
            cwd="/",
            env=environment() | dict(env or {}),
            seconds=110,
        )

    def popen(
        self,
        script: str,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdout: int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """In a process group of its own, as a terminal would start it; both outputs in one pipe."""
        return subprocess.Popen(
            [self.folder / "scripts" / script, *arguments],
            cwd="/",
            env=environment() | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def leftovers(self) -> list[str]:
        found = [self.venv, self.folder / ".run" / "environment-old"]
        return [path.name for path in found if path.exists()]


def environment() -> dict[str, str]:
    return {n: v for n, v in os.environ.items() if n in KEPT or n.startswith("PIP_")}


def assert_refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """One line says no, with all of these words; before it, a line says that .venv is built."""
    lines = [line for line in result.stderr.splitlines() if not line.startswith("Building ")]
    assert result.returncode == 1 and len(lines) == 1, result
    assert lines[0].startswith("error: ") and all(word in lines[0] for word in words), lines[0]
