"""The stacks of the end-to-end tests, removed afterwards.

Settings: WEB_IMAGE names an image to test instead of building one; E2E_KEEP=1 leaves the stack
running and says how to remove it.
"""

import re
from collections.abc import Iterator

import pytest
import requests

from tests.e2e.stack import Stack, docker, new_stack, started
from tests.e2e.watched import Watched, helpers
from tests.support.processes import run, wait_until


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole stack, healthy. Leave it as you found it: everything running."""
    commit = run(["git", "rev-parse", "HEAD"]).stdout
    running = new_stack(
        tmp_path_factory.mktemp("stack"), "e2e", GIT_COMMIT=commit.strip() or "unknown"
    )
    with started(running):
        yield running


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A stack for tests of its monitoring, with every target up and no requests yet.

    Each module has its own, because alerts remember for hours what other tests have broken. A
    receiver writes down the alerts; where cAdvisor's image is missing, a recording is the target.
    """
    folder = tmp_path_factory.mktemp("watched")
    settings = {
        "RUNBOOKS_URL": "https://git.example.com/",
        "BUILD_DATE": "2026-01-01T00:00:00Z",
        # Requests are traced, for exemplars; no collector answers there.
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
    }
    running = new_stack(folder, "watched", **settings)
    with started(running) as missing, helpers(running, recorded="cadvisor" in missing):
        found = Watched(running, "cadvisor" in missing)
        wait_until(found.all_targets_answer, seconds=90, interval=1, why="all targets answer")
        yield found


@pytest.fixture
def api(stack: Stack) -> Iterator[requests.Session]:
    """A client that may write, on connections of its own."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {stack.token}"
        yield session


@pytest.fixture(autouse=True)
def everything_healthy_afterwards(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that breaks something waits until it is repaired; this fixture checks that."""
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
