"""docs/BACKGROUND-WORK.md, followed to the letter: a worker runs jobs, and a deploy renews it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import Stack, docker, inspect, new_stack, started
from tests.support.paths import ROOT
from tests.support.processes import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

VARIANTS = ROOT / "tests" / "e2e" / "variants"
ASK = """
import time
from app.jobs import double, queue
job = queue().enqueue(double, 21)
while not job.is_finished:
    time.sleep(0.1)
print(job.return_value())
"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The service, nginx and Redis."""
    running = new_stack(tmp_path_factory.mktemp("worker"), "worker", WEB_REPLICAS="1")
    running.services = ["init", "web", "nginx", "redis", "edge-exporter"]
    with started(running):
        yield running


def build(stack: Stack, folder: Path, version: str) -> str:
    """An image of the service with the page's jobs."""
    page = (ROOT / "docs" / "BACKGROUND-WORK.md").read_text(encoding="utf-8")
    (folder / "jobs.py").write_text(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0])
    name = f"{stack.project}:{version}"
    arguments = (f"IMAGE={stack.settings['WEB_IMAGE']}", f"VERSION={version}")
    options = [word for one in arguments for word in ("--build-arg", one)]
    context = f"jobs={folder}"
    command = ("build", "--quiet", "--target", "worker", "--build-context", context, *options)
    docker(*command, "--tag", name, str(VARIANTS), seconds=300)
    return name


def test_a_worker_runs_jobs_and_a_deploy_renews_it(jobs: Stack, tmp_path: Path) -> None:
    first, second = (build(jobs, tmp_path, version) for version in ("3.0.0", "3.0.1"))
    settings = tmp_path / "settings"
    settings.write_text(f"WEB_IMAGE={jobs.settings['WEB_IMAGE']}\n")
    environment = jobs.environment | {"WEB_IMAGE": first}
    up = ["docker", "compose", "--profile", "worker", "up", "--detach", "--no-deps", "worker"]
    assert run(up, env=environment).returncode == 0
    assert jobs.run_in("worker", "python", "-c", ASK) == "42\n"

    environment.pop("WEB_IMAGE")
    deploy: list[str | Path] = [
        ROOT / "scripts/deploy.sh",
        "--env-file",
        settings,
        "--image",
        second,
    ]
    done = run(deploy, env=environment, seconds=400)

    assert done.returncode == 0, done.stdout + done.stderr
    (worker,) = jobs.containers("worker")
    assert inspect(worker)["Image"] == inspect(second)["Id"]
    assert jobs.run_in("web", "python", "-c", ASK) == "42\n"


def test_a_worker_may_not_touch_the_services_keys(jobs: Stack) -> None:
    ask = "from app.jobs import queue; queue().connection.get('ds:cache:x')"

    assert "NoPermissionError" in jobs.run_in("worker", "python", "-c", ask, check=False)
