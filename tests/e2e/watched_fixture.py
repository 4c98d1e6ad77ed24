"""The fixture `watched`: a second stack, for tests of its monitoring.

Each module has its own, because alerts remember for hours what other tests have broken. A receiver
writes down the alerts; where cAdvisor's image is missing, a recording of it is the target.

A test module asks for it by `pytest_plugins = ("tests.e2e.watched_fixture",)`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.images import available_services
from tests.e2e.stack import Stack, docker
from tests.e2e.watched import Watched
from tests.support.processes import free_port, wait_until
from tests.support.redis_container import engine_answers

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The stack, healthy, with every target up and no requests yet."""
    if not engine_answers():
        pytest.skip("NO CONTAINER ENGINE ANSWERS: monitoring has not been watched")
    stack = _configure(tmp_path_factory.mktemp("watched"))
    stack.services, missing = available_services(stack)
    if missing:
        print(f"\nWITHOUT {', '.join(missing)}: this machine cannot get the image", file=sys.stderr)
    recorded = "cadvisor" in missing
    with _everything_removed(stack):
        if "WEB_IMAGE" not in os.environ:
            stack.compose("build", "web", seconds=600)
        stack.up()
        helper(stack, "alert-receiver", "notify", "alert_receiver.py")
        if recorded:
            recording = f"{HERE / 'recorded' / 'cadvisor'}:/recorded:ro"
            helper(stack, "cadvisor", "monitoring", "recorded_target.py", "--volume", recording)
        running = Watched(stack, recorded)
        wait_until(
            lambda: _all_targets_answer(running), seconds=90, interval=1, why="all targets answer"
        )
        yield running


def helper(stack: Stack, name: str, network: str, program: str, *options: str) -> None:
    """Start one of the programs beside this file as a container that the stack knows by `name`."""
    docker(
        *("run", "--detach", "--name", f"{stack.project}-{name}"),
        *("--network", f"{stack.project}_{network}", "--network-alias", name),
        *("--volume", f"{HERE / program}:/program.py:ro", *options),
        *(stack.settings["WEB_IMAGE"], "python", "/program.py"),
    )


def _all_targets_answer(watched: Watched) -> bool:
    health = [target["health"] for target in watched.ask("targets")["activeTargets"]]
    jobs = {target["scrapePool"] for target in watched.ask("targets")["activeTargets"]}
    return set(health) == {"up"} and {"web", "cadvisor"} <= jobs


def _configure(folder: Path) -> Stack:
    (folder / "secrets").mkdir()
    (folder / "certs").mkdir()
    settings = {
        "TEST_FOLDER": str(folder),
        "WEB_IMAGE": os.environ.get("WEB_IMAGE", "devops-starter:e2e"),
        "ALERT_WEBHOOK_URL": "http://alert-receiver:8099/",
        "RUNBOOKS_URL": "https://git.example.com/",
    }
    ports = ("HTTP_PORT", "HTTPS_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT", "GRAFANA_PORT")
    settings |= {name: str(free_port()) for name in ports}
    project = f"devops-starter-watched-{os.getpid()}"
    return Stack(project, folder, settings)


@contextmanager
def _everything_removed(stack: Stack) -> Iterator[None]:
    try:
        yield
    finally:
        if not os.environ.get("E2E_KEEP"):
            for name in ("alert-receiver", "cadvisor"):
                command = ["docker", "rm", "--force", f"{stack.project}-{name}"]
                subprocess.run(command, check=False, capture_output=True)
            stack.compose("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)
