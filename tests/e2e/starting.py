"""Starting a stack from the tree: its settings, its images, and its end."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.stack import Stack
from tests.support.containers import pull, require_engine
from tests.support.paths import ROOT
from tests.support.processes import free_port

BUILD_SECONDS = 600
# Without these there is nothing to test; the others are left out if their image is missing.
ESSENTIAL = {"init", "web", "nginx", "redis"}
PORTS = ("HTTP_PORT", "HTTPS_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT", "GRAFANA_PORT")


def new_stack(folder: Path, name: str, **settings: str) -> Stack:
    """A stack with a project, ports and secrets of its own, not started yet."""
    require_engine()
    (folder / "secrets").mkdir()
    (folder / "certs").mkdir()
    settings = {
        "TEST_FOLDER": str(folder),
        "WEB_IMAGE": os.environ.get("WEB_IMAGE", "devops-starter:e2e"),
        "ALERT_WEBHOOK_URL": "http://alert-receiver:8099/",
        **{port: str(free_port()) for port in PORTS},
        **settings,
    }
    return Stack(f"devops-starter-{name}-{os.getpid()}", folder, settings)


@contextmanager
def started(stack: Stack) -> Iterator[list[str]]:
    """The stack, built and healthy; yields the services whose image this machine cannot get.

    It is removed afterwards, unless E2E_KEEP is set.
    """
    available, missing = available_services(stack)
    stack.services = stack.services or available
    if missing:
        print(f"\nWITHOUT {', '.join(missing)}: this machine cannot get the image", file=sys.stderr)
    try:
        if "WEB_IMAGE" not in os.environ:
            stack.compose("build", "web", seconds=BUILD_SECONDS)
        stack.up()
        yield missing
    finally:
        if os.environ.get("E2E_KEEP"):
            remove = f"docker compose --project-name {stack.project} down --volumes"
            print(f"\nleft running: {stack.http}; remove with: {remove}", file=sys.stderr)
        else:
            stack.compose("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)


def available_services(stack: Stack) -> tuple[list[str], list[str]]:
    """Get the images of all services.

    Returns:
        The services that can be started, and those whose image is missing.
    """
    services = json.loads(stack.compose("config", "--format", "json").stdout)["services"]
    built = {service["image"] for service in services.values() if "build" in service}
    pulled = {service["image"] for service in services.values()} - built
    present = {image: pull(image) for image in sorted(pulled | _bases(ROOT / "docker/Dockerfile"))}
    missing = [
        name for name, service in services.items() if not present.get(service["image"], True)
    ]
    assert not ESSENTIAL & set(missing), f"no image for {missing}"
    return [name for name in services if name not in missing], missing


def _bases(dockerfile: Path) -> set[str]:
    words = [line.split() for line in dockerfile.read_text().splitlines() if line[:5] == "FROM "]
    stages = {line[3] for line in words if len(line) > 3}
    return {line[1] for line in words} - stages
