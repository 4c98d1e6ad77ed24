"""One stack for all end-to-end tests, thrown away afterwards.

Settings: WEB_IMAGE names an image to test instead of building one; E2E_KEEP=1 leaves the stack
running and says how to remove it; E2E_REDIS_TIMEOUT_MS gives the deploys under load more patience
with Redis than the default of 250, for a machine that has other work.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.e2e.images import available_services
from tests.e2e.stack import Stack, docker
from tests.support.processes import free_port, wait_until
from tests.support.redis_container import engine_answers

BUILD_SECONDS = 600


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole stack, healthy. Leave it as you found it: everything running."""
    if not engine_answers():
        reason = "NO CONTAINER ENGINE ANSWERS: no end-to-end test has run; start Docker to run them"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    running = _configure(tmp_path_factory.mktemp("stack"))
    running.services, missing = available_services(running)
    if missing:
        print(f"\nWITHOUT {', '.join(missing)}: this machine cannot get the image", file=sys.stderr)
    try:
        if "WEB_IMAGE" not in os.environ:
            running.compose("build", "web", seconds=BUILD_SECONDS)
        running.up()
        yield running
    finally:
        if os.environ.get("E2E_KEEP"):
            remove = f"docker compose --project-name {running.project} down --volumes"
            print(f"\nleft running: {running.http}; remove with: {remove}", file=sys.stderr)
        else:
            running.compose("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)


@pytest.fixture
def api(stack: Stack) -> Iterator[requests.Session]:
    """A client that may write, on connections of its own."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {stack.token}"
        yield session


@pytest.fixture(autouse=True)
def everything_healthy_afterwards(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that breaks something waits until it is whole again; this one checks that."""
    yield
    if "stack" not in request.fixturenames:
        return
    running: Stack = request.getfixturevalue("stack")
    wait_until(lambda: not _broken(running), seconds=30, why="everything is healthy again")


def _broken(stack: Stack) -> list[str]:
    states = docker(
        *("ps", "--all", "--format", '{{.Label "com.docker.compose.service"}} {{.Status}}'),
        *("--filter", f"label=com.docker.compose.project={stack.project}"),
    ).splitlines()
    # nginx-exporter has no health check.
    fine = re.compile(r".* (Up .*\(healthy\)|Exited \(0\).*)|nginx-exporter Up .*")
    return [one for one in states if not fine.fullmatch(one)]


def _configure(folder: Path) -> Stack:
    (folder / "secrets").mkdir()
    (folder / "certs").mkdir()
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    settings = {
        "TEST_FOLDER": str(folder),
        "WEB_IMAGE": os.environ.get("WEB_IMAGE", "devops-starter:e2e"),
        "GIT_COMMIT": commit or "unknown",
        "ALERT_WEBHOOK_URL": "http://alert-receiver:8099/",
    }
    ports = ("HTTP_PORT", "HTTPS_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT", "GRAFANA_PORT")
    settings |= {name: str(free_port()) for name in ports}
    return Stack(f"devops-starter-e2e-{os.getpid()}", folder, settings)
