"""A deployment over ssh whose host is a folder of this machine."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.ci_scripts import ROOT, Git, Programs

# What ssh is given is its options, the host and one word: the command.
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
        shutil.copytree(
            ROOT / "scripts" / "ci", scripts / "ci", ignore=shutil.ignore_patterns("__*")
        )
        (scripts / "lib").mkdir()
        shutil.copy2(ROOT / "scripts" / "lib" / "common.sh", scripts / "lib")
        self.write("scripts/deploy.sh", DEPLOY)
        (scripts / "deploy.sh").chmod(0o755)
        self.write("nginx.conf", "first")
        git.commit("feat: start")

    def write(self, name: str, text: str) -> None:
        (self.git.folder / name).write_text(text)

    def read(self, name: str) -> str:
        return (self.host / name).read_text()

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "DEPLOY_HOST": "app.example.org",
            "DEPLOY_PATH": str(self.host),
            "DEPLOY_KNOWN_HOSTS": "app.example.org ssh-ed25519 AAAA",
        }
        return subprocess.run(
            [self.git.folder / "scripts" / "ci" / "remote-deploy.sh", *arguments],
            env={"PATH": self._programs.path, "HOME": os.environ["HOME"]} | settings | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def ssh_calls(self) -> list[str]:
        return self._programs.calls
