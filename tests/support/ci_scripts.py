"""What tests of scripts/ci need: to run one, stand-ins for what it calls, and a repository."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.processes import run

SCRIPTS = ROOT / "scripts" / "ci"


def run_script(
    script: str, *arguments: str | Path, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    start: list[str | Path] = [sys.executable] if script.endswith(".py") else []
    settings = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | environment
    return run([*start, SCRIPTS / script, *arguments], cwd=cwd, env=settings)


class Programs:
    """Stand-ins for programs such as gh: each notes how it is called, then runs its script."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "calls"
        folder.mkdir()
        self._log.touch()

    def add(self, name: str, script: str = "") -> None:
        path = self._folder / name
        note = f'printf "%s\\n" "{name} $*" >>"{self._log}"'
        path.write_text(f"#!/usr/bin/env bash\n{note}\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self._log.read_text(encoding="utf-8").splitlines()

    @property
    def path(self) -> str:
        """For the environment, before everything else."""
        return f"{self._folder}:{os.environ['PATH']}"


class Git:
    """A repository of its own, with a name to commit under."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self("init", "--quiet", "--initial-branch=main")
        for key, value in (("user.name", "Test"), ("user.email", "test@example.org")):
            self("config", key, value)

    def __call__(self, *arguments: str) -> str:
        settings = {"PATH": os.environ["PATH"], "HOME": str(self.folder.parent)}
        done = run(["git", *arguments], cwd=self.folder, env=settings)
        done.check_returncode()
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def commit(self, subject: str) -> str:
        """Everything that has changed, or nothing; the commit's name."""
        self("add", "--all")
        self("commit", "--quiet", "--allow-empty", "--message", subject)
        return self("rev-parse", "HEAD")
