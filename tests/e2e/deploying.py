"""scripts/deploy.sh on a stack of its own, and versions to deploy there."""

import os
import subprocess
from pathlib import Path

from tests.e2e.stack import FILES, Stack, clean_environment, docker
from tests.support.paths import ROOT

VARIANTS = Path(__file__).parent / "variants"
TARGETS = ("good", "broken", "faulty")
# The service on its own: what a deploy deals with, and Prometheus, which judges canaries.
SERVICES = ["init", "web", "nginx", "redis", "prometheus", "edge-exporter"]
# As a user has them: what the test overlay gives a busy machine is taken back.
DEFAULTS = {
    "CLIENT_BURST": "500",
    "CLIENT_CONNECTIONS": "256",
    "REDIS_TIMEOUT_MS": os.environ.get("E2E_REDIS_TIMEOUT_MS", "250"),
}

ASK_VERSION = (
    "import json, urllib.request as r;"
    "print(json.load(r.urlopen('http://127.0.0.1:8000/api/v1/info'))['version'])"
)


class Deploys:
    """Runs the script as a person would, against one stack."""

    def __init__(self, stack: Stack, variants: dict[str, str]) -> None:
        self.stack = stack
        self.variants = variants
        self.settings = stack.folder / "deploy.env"
        self.settings.write_text(f"WEB_IMAGE={stack.settings['WEB_IMAGE']}\n")
        self.first_version = self.versions().pop()

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        environment = {
            name: one for name, one in self.stack.settings.items() if name != "WEB_IMAGE"
        }
        environment |= {
            "COMPOSE_PROJECT_NAME": self.stack.project,
            "COMPOSE_FILE": os.pathsep.join(str(path) for path in FILES),
            "COMPOSE_DISABLE_ENV_FILE": "1",
        }
        return subprocess.Popen(
            [ROOT / "scripts/deploy.sh", "--env-file", str(self.settings), *arguments],
            env=clean_environment() | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit status and everything printed."""
        process = self.start(*arguments)
        written, _nothing = process.communicate(timeout=280)
        return process.returncode, written

    def versions(self) -> set[str]:
        """What the replicas in service say their version is."""
        command = ("python", "-c", ASK_VERSION)
        return {docker("exec", one, *command).strip() for one in self.stack.containers("web")}

    def traffic(self) -> str:
        """nginx's file that says where requests go."""
        return self.stack.run_in("nginx", "cat", "/etc/nginx/upstreams/traffic.conf")

    def lock(self) -> str:
        """The container that is the lock, if there is one."""
        return docker("ps", "--all", "--quiet", "--filter", f"name={self.stack.project}-deploy$")

    def history(self) -> list[str]:
        return self.run("--history")[1].splitlines()


def build_variants(base: str, name: str) -> dict[str, str]:
    """Build the versions in variants/ on top of an image; returns what each is called."""
    built = {}
    for target in TARGETS:
        built[target] = f"{name}:{target}"
        choice = ("--build-arg", f"IMAGE={base}", "--target", target, "--tag", built[target])
        docker("build", "--quiet", *choice, str(VARIANTS), seconds=120)
    return built


def remove_images(name: str) -> None:
    """Remove all images called so, whatever their tags."""
    listed = docker("images", "--format", "{{.Repository}}:{{.Tag}}", name).split()
    docker("image", "rm", "--force", *listed, check=False)
