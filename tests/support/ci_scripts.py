"""What tests of scripts/ci need: to run one, and a repository."""

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


class Git:
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
