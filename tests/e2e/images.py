"""Which services this machine has the images for."""

import json
import subprocess
from pathlib import Path

from tests.e2e.stack import Stack, docker
from tests.support.paths import ROOT

PULL_SECONDS = 600
# Without these there is nothing to test; the others are left out where they cannot be had.
ESSENTIAL = {"init", "web", "nginx", "redis"}


def available_services(stack: Stack) -> tuple[list[str], list[str]]:
    """Get the images of all services.

    Returns:
        The services that can be started, and those whose image could not be had.
    """
    services = json.loads(stack.compose("config", "--format", "json").stdout)["services"]
    bases = _bases(ROOT / "docker" / "Dockerfile")
    built = {name: service["image"] for name, service in services.items() if "build" in service}
    pulled = {service["image"] for service in services.values()} - set(built.values())
    for image in sorted(pulled | bases):
        provide(image)
    missing = [
        name
        for name, service in services.items()
        if service["image"] in pulled and not _present(service["image"])
    ]
    assert not ESSENTIAL & set(missing), f"no image for {missing}"
    return [name for name in services if name not in missing], missing


def _bases(dockerfile: Path) -> set[str]:
    words = [line.split() for line in dockerfile.read_text().splitlines() if line[:5] == "FROM "]
    stages = {line[3] for line in words if len(line) > 3}
    return {line[1] for line in words} - stages


def _present(image: str) -> bool:
    command = ["docker", "image", "inspect", image]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def provide(image: str) -> None:
    """Get an image, if it can be had."""
    if not _present(image):
        docker("pull", "--quiet", image, seconds=PULL_SECONDS, check=False)
