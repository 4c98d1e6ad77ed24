"""Deploys on a real stack, under 200 mixed requests a second: none may fail, whatever is deployed.

Each shift of traffic is watched for 5 s here instead of 20 or 60, and for latency hardly at all;
docs/DEPLOYMENT.md has the limits as they are.
"""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from deploy.nginx import ADDRESS, WEB_ONLY

from tests.e2e.load import MixedLoad
from tests.e2e.stack import Stack, docker, new_stack, started
from tests.support.paths import ROOT
from tests.support.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

QUICK = ("--step-seconds", "5", "--max-p99-ms", "8000")
SCENARIOS = 7
REQUESTS = 20_000

VARIANTS = Path(__file__).parent / "variants"
TARGETS = ("good", "broken", "faulty")
# The service on its own: what a deploy deals with, and Prometheus, which judges canaries.
SERVICES = ["init", "web", "nginx", "redis", "prometheus", "edge-exporter"]
# As a user has them: what the test overlay gives a busy machine is taken back, except the cache's
# time for Redis. Two cores carry the stack and its load here, and a PUT to the cache that gave up
# after 250 ms says nothing of the deploy. Items wait 2 s by default.
DEFAULTS = {"CLIENT_BURST": "500", "CLIENT_CONNECTIONS": "256"}

ASK_VERSION = (
    "import json, urllib.request as r;"
    "print(json.load(r.urlopen('http://127.0.0.1:8000/api/v1/info'))['version'])"
)

Loaded = Callable[[], AbstractContextManager[None]]


class Deploys:
    """Runs the script as a person would, against one stack."""

    def __init__(self, stack: Stack, variants: dict[str, str]) -> None:
        self.stack = stack
        self.variants = variants
        self.settings = stack.folder / "deploy.env"
        self.settings.write_text(f"WEB_IMAGE={stack.settings['WEB_IMAGE']}\n")
        self.first_version = self.versions().pop()

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        environment = self.stack.environment
        del environment["WEB_IMAGE"]  # the file's counts
        return subprocess.Popen(
            [ROOT / "scripts/deploy.sh", "--env-file", str(self.settings), *arguments],
            env=environment,
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
        """Where nginx says that requests go."""
        return self.stack.run_in("nginx", "wget", "-qO-", ADDRESS).strip()

    def lock(self) -> str:
        """The container that is the lock, if there is one."""
        return docker("ps", "--all", "--quiet", "--filter", f"name={self.stack.project}-deploy$")

    def history(self) -> list[str]:
        return self.run("--history")[1].splitlines()


@pytest.fixture(scope="module")
def deploys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploys]:
    """The service with nginx, Redis and Prometheus, healthy, and versions to deploy there.

    A stack of its own, so that no other test's replicas are replaced.
    """
    running = new_stack(tmp_path_factory.mktemp("deploys"), "deploys", **DEFAULTS)
    running.services = SERVICES
    try:
        with started(running):
            yield Deploys(running, _build_variants(running.settings["WEB_IMAGE"], running.project))
            docker("rm", "--force", f"{running.project}-deploy", check=False)
    finally:
        images = docker("images", "--format", "{{.Repository}}:{{.Tag}}", running.project)
        docker("image", "rm", "--force", *images.split(), check=False)


@pytest.fixture(scope="module")
def reports() -> list[dict[str, Any]]:
    """What came of the load in each test of this module so far."""
    return []


@pytest.fixture
def loaded(deploys: Deploys, reports: list[dict[str, Any]]) -> Loaded:
    """Load around what a test does; afterwards every request must have succeeded."""

    @contextmanager
    def context() -> Iterator[None]:
        with MixedLoad(deploys.stack) as mix:
            yield
        report = mix.summary() | {"items_lost": len(mix.lost_items())}
        reports.append(report)
        print(report)  # whole, where an assertion abridges it
        assert report["failed"] == 0, report
        assert report["items_lost"] == 0, report
        assert report["http2_requests"] > 0, report

    return context


def test_a_good_canary_gets_more_and_more_while_a_second_deploy_is_refused(
    deploys: Deploys, loaded: Loaded
) -> None:
    with loaded():
        first = deploys.start("--image", deploys.variants["good"], "--strategy=canary", *QUICK)
        _wait_for_line(first, "beside the old ones")
        second = deploys.run("--image", deploys.variants["good"])
        output = first.communicate(timeout=240)[0]

    assert first.returncode == 0, output
    assert output.index("10 %") < output.index("50 %") < output.index("send it all requests")
    assert output.count("it answered") == 3
    assert second[0] == 1
    assert "another deploy is under way, by " in second[1]
    assert deploys.versions() == {"2.0.0"}
    assert deploys.settings.read_text().startswith(f"WEB_IMAGE={deploys.variants['good']}-")
    _only_web_serves(deploys)


def test_a_version_that_never_becomes_healthy_is_rolled_back(
    deploys: Deploys, loaded: Loaded
) -> None:
    before = deploys.settings.read_text()

    with loaded():
        status, output = deploys.run("--image", deploys.variants["broken"], *QUICK)

    assert status == 1
    assert "this version cannot start: rolling back" in output
    assert deploys.versions() == {"2.0.0"}
    assert deploys.settings.read_text() == before
    _only_web_serves(deploys)


def test_a_canary_that_fails_every_fifth_request_is_rolled_back(
    deploys: Deploys, loaded: Loaded
) -> None:
    with loaded():
        status, output = deploys.run(
            "--image", deploys.variants["faulty"], "--strategy=canary", *QUICK
        )

    assert status == 1
    assert "send it 10 % of the requests" in output
    assert "send it 50 % of the requests" not in output
    assert "and 1.0% is the limit: rolling back" in output
    assert deploys.versions() == {"2.0.0"}
    _only_web_serves(deploys)


def test_ctrl_c_half_way_puts_the_old_version_back(deploys: Deploys, loaded: Loaded) -> None:
    with loaded():
        process = deploys.start("--image", deploys.variants["faulty"], "--step-seconds=60")
        _wait_for_line(process, "send it all requests")
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=120)[0]

    assert process.returncode == 1
    assert "interrupted by SIGINT: rolling back" in output
    assert deploys.versions() == {"2.0.0"}
    _only_web_serves(deploys)


def test_a_deploy_that_was_killed_leaves_no_lock_and_can_be_recovered_from(
    deploys: Deploys, loaded: Loaded
) -> None:
    with loaded():
        process = deploys.start("--rollback")
        _wait_for_line(process, "renew the old replicas")
        process.kill()
        process.communicate()
        wait_until(lambda: not deploys.lock(), seconds=10, why="the lock goes with its holder")
        status, output = deploys.run("--recover")

    assert status == 0, output
    assert "was cut off: putting things back" in output
    assert deploys.versions() == {"2.0.0"}
    _only_web_serves(deploys)


def test_an_nginx_that_is_killed_half_way_gets_its_shares_again(deploys: Deploys) -> None:
    shift = ("--strategy=canary", "--step-seconds=15", "--min-requests=0")
    process = deploys.start("--image", deploys.variants["good"], *shift)
    _wait_for_line(process, "send it 10 %")
    wait_until(lambda: "percent=10&" in deploys.traffic(), seconds=10, why="it gets 10 %")

    docker("restart", "--signal=KILL", deploys.stack.containers("nginx")[0])

    wait_until(lambda: "percent=10&" in deploys.traffic(), seconds=10, why="it gets 10 % again")
    output = process.communicate(timeout=240)[0]
    assert process.returncode == 0, output
    _only_web_serves(deploys)


def test_a_rollback_goes_to_the_version_before(deploys: Deploys, loaded: Loaded) -> None:
    with loaded():
        status, output = deploys.run("--rollback")

    assert status == 0, output
    assert deploys.versions() == {deploys.first_version}
    _only_web_serves(deploys)


def test_restarting_one_replica_of_two_fails_no_request(deploys: Deploys, loaded: Loaded) -> None:
    with loaded():
        for replica in deploys.stack.containers("web"):
            docker("restart", replica)
            wait_until(lambda: not _starting(deploys.stack), seconds=30, why="the replica is back")


def test_all_that_together_was_20_000_requests_without_a_failure(
    reports: list[dict[str, Any]],
) -> None:
    if len(reports) < SCENARIOS:
        pytest.skip("not all of the tests above have run")

    print(
        {name: sum(one[name] for one in reports) for name in ("requests", "failed", "items_lost")}
    )
    assert sum(one["requests"] for one in reports) >= REQUESTS
    assert sum(one["failed"] for one in reports) == 0


def test_the_history_lists_who_deployed_what_and_how_it_ended(deploys: Deploys) -> None:
    lines = deploys.history()

    ends = [line.split("  ")[-1].split(":")[0] for line in lines]
    assert ends == ["in service", *4 * ["rolled back"], "in service", "in service"]
    assert all("@" in line for line in lines)


def test_a_dry_run_prints_the_plan_and_changes_nothing(deploys: Deploys) -> None:
    before = (deploys.stack.containers(), deploys.history(), deploys.settings.read_text())

    status, output = deploys.run("--image", deploys.variants["broken"], "--dry-run")

    assert status == 0
    assert "1. start 2 replicas of the new version beside the old ones" in output
    assert before == (deploys.stack.containers(), deploys.history(), deploys.settings.read_text())


def _wait_for_line(process: "subprocess.Popen[str]", text: str) -> None:
    """Read what the process prints until that is in it; the test's timeout is the deadline."""
    assert process.stdout
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return
    raise AssertionError("".join(seen))


def _only_web_serves(deploys: Deploys) -> None:
    assert deploys.traffic() == str(WEB_ONLY)
    assert not deploys.stack.containers("web-next")
    assert not deploys.lock()


def _starting(stack: Stack) -> bool:
    shown = docker("ps", "--format", "{{.Status}}", "--filter", f"name={stack.project}-web-")
    return shown.count("(healthy)") != 2


def _build_variants(base: str, name: str) -> dict[str, str]:
    """Build the versions in variants/ on top of an image; returns what each is called."""
    built = {}
    for target in TARGETS:
        built[target] = f"{name}:{target}"
        choice = ("--build-arg", f"IMAGE={base}", "--target", target, "--tag", built[target])
        docker("build", "--quiet", *choice, str(VARIANTS), seconds=120)
    return built
