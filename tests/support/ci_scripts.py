"""What tests of scripts/ci need: to run one, a repository, and a host to deploy to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.processes import Programs, run

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


# The arguments of ssh are its options, the host and one word: the command.
SSH = 'exec bash -c "${!#}"'
DEPLOY = """#!/usr/bin/env bash
echo "deployed $*"
echo "$PWD $*" >>calls
[[ ! -f refuse ]]
"""


class Deployment:
    """A repository to deploy from, and a folder that stands for the host's."""

    def __init__(self, git: Git, programs: Programs, host: Path) -> None:
        self.git = git
        self.host = host
        self._programs = programs
        programs.add("ssh", SSH)
        scripts = git.folder / "scripts"
        ignored = shutil.ignore_patterns("__*")
        shutil.copytree(ROOT / "scripts" / "ci", scripts / "ci", ignore=ignored)
        (scripts / "lib").mkdir()
        shutil.copy2(ROOT / "scripts" / "lib" / "common.sh", scripts / "lib")
        git.write("scripts/deploy.sh", DEPLOY)
        (scripts / "deploy.sh").chmod(0o755)
        git.write("nginx.conf", "first")
        self.first = git.commit("feat: start")

    def release(self, **files: str) -> str:
        """A new commit; nginx_conf="second" writes nginx.conf."""
        for name, text in files.items():
            self.git.write(name.replace("_", "."), text)
        return self.git.commit("feat: next")

    def read(self, name: str) -> str:
        return (self.host / name).read_text()

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "DEPLOY_HOST": "app.example.org",
            "DEPLOY_PATH": str(self.host),
            "DEPLOY_KNOWN_HOSTS": "app.example.org ssh-ed25519 AAAA",
        }
        settings |= {"PATH": self._programs.path, "HOME": os.environ["HOME"]}
        script = self.git.folder / "scripts" / "ci" / "remote-deploy.sh"
        return run([script, *arguments], env=settings | environment)
