"""The fixture `deploys`: a stack of its own, so that no other test's replicas are renewed.

A test module asks for it by `pytest_plugins = ("tests.e2e.deploying_fixture",)`.
"""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.deploying import DEFAULTS, SERVICES, Deploys, build_variants, remove_images
from tests.e2e.images import available_services
from tests.e2e.stack import Stack
from tests.support.processes import free_port
from tests.support.redis_container import engine_answers

PORTS = ("HTTP_PORT", "HTTPS_PORT", "PROMETHEUS_PORT")


@pytest.fixture(scope="module")
def deploys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploys]:
    """The service with nginx, Redis and Prometheus, healthy, and versions to deploy there."""
    if not engine_answers():
        pytest.skip("NO CONTAINER ENGINE ANSWERS: no deploy has been tested")
    folder = tmp_path_factory.mktemp("deploys")
    (folder / "secrets").mkdir()
    (folder / "certs").mkdir()
    settings = {"TEST_FOLDER": str(folder), **DEFAULTS} | {name: str(free_port()) for name in PORTS}
    image = "devops-starter:e2e"
    project = f"devops-starter-deploys-{os.getpid()}"
    settings["WEB_IMAGE"] = os.environ.get("WEB_IMAGE", image)
    stack = Stack(project, folder, settings, SERVICES)
    available_services(stack)
    try:
        if "WEB_IMAGE" not in os.environ:
            stack.compose("build", "web", seconds=600)
        stack.up()
        yield Deploys(stack, build_variants(settings["WEB_IMAGE"], stack.project))
    finally:
        lock = ["docker", "rm", "--force", f"{stack.project}-deploy"]
        subprocess.run(lock, check=False, capture_output=True)
        stack.compose("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)
        remove_images(stack.project)
