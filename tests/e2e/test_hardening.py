"""What each container may do, as the engine says and as the container itself finds out."""

import json
import os
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.stack import Stack, docker, inspect, inspect_all, service_of
from tests.support.processes import wait_until

# Started once and gone; `init` hands files to the other users and is root for that.
ONE_SHOT = {"init", "alertmanager-config"}
# Its image is a single file, in which no check can run.
WITHOUT_CHECK = {"nginx-exporter"}
MEBIBYTE = 1024 * 1024

Found = dict[str, Any]
Containers = list[tuple[str, Found]]
RULES: dict[str, Callable[[Found], bool]] = {
    "drops every capability": lambda found: found["HostConfig"]["CapDrop"] == ["ALL"],
    "cannot gain privileges": lambda found: (
        "no-new-privileges:true" in found["HostConfig"]["SecurityOpt"]
        and not found["HostConfig"]["Privileged"]
    ),
    "has a read-only root file system": lambda found: found["HostConfig"]["ReadonlyRootfs"],
    "has limits": lambda found: (
        0 < found["HostConfig"]["NanoCpus"] <= 2e9
        and 16 * MEBIBYTE <= found["HostConfig"]["Memory"] <= 1024 * MEBIBYTE
        and 0 < found["HostConfig"]["PidsLimit"] <= 256
    ),
    "does not swap": lambda found: (
        found["HostConfig"]["MemorySwap"] == found["HostConfig"]["Memory"]
    ),
    "rotates its log": lambda found: (
        {"max-size", "max-file"} <= found["HostConfig"]["LogConfig"]["Config"].keys()
    ),
    "has an image with a tag": lambda found: bool(
        re.match(r".+:(?!latest$)[\w.-]+(@sha256:[0-9a-f]{64})?$", found["Config"]["Image"])
    ),
}


@pytest.fixture(scope="module")
def containers(stack: Stack) -> Containers:
    """Every container of the stack, under its service's name."""
    return [(service_of(found), found) for found in inspect_all(stack.containers())]


def broken(containers: Containers, rule: Callable[[Found], bool]) -> list[str]:
    return [service for service, found in containers if not rule(found)]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_container(containers: Containers, rule: Callable[[Found], bool]) -> None:
    assert not broken(containers, rule)


def test_no_service_runs_as_root(containers: Containers) -> None:
    def as_a_numeric_user(found: Found) -> bool:
        return bool(re.match("[1-9][0-9]*(:[0-9]+)?$", found["Config"]["User"]))

    # cAdvisor reads other containers' files, which are root's.
    assert set(broken(containers, as_a_numeric_user)) <= {"init", "cadvisor"}


def test_only_init_has_a_capability(containers: Containers) -> None:
    assert broken(containers, lambda found: not found["HostConfig"]["CapAdd"]) == ["init"]


@pytest.mark.parametrize("service", ["web", "nginx", "redis", "prometheus", "redis-exporter"])
def test_a_service_cannot_write_beside_its_data(stack: Stack, service: str) -> None:
    places = "/ /etc /usr /srv /opt /run/secrets"
    script = f"for d in {places}; do touch $d/x 2>/dev/null && echo $d; done; true"

    assert stack.run_in(service, "sh", "-c", script) == ""


def test_every_service_restarts_and_has_a_health_check(containers: Containers) -> None:
    lasting = [one for one in containers if one[0] not in ONE_SHOT]
    policy = "unless-stopped"
    assert not broken(lasting, lambda found: found["HostConfig"]["RestartPolicy"]["Name"] == policy)
    checked = [one for one in lasting if one[0] not in WITHOUT_CHECK]
    assert not broken(checked, lambda found: found["State"]["Health"]["Status"] == "healthy")


@pytest.mark.slow
def test_checks_that_are_killed_because_redis_hangs_leave_no_process(stack: Stack) -> None:
    def failed_checks() -> bool:
        return bool(stack.inspect("redis")["State"]["Health"]["FailingStreak"] >= 2)

    process = stack.inspect("redis")["State"]["Pid"]
    os.kill(process, signal.SIGSTOP)
    try:
        wait_until(failed_checks, seconds=60, interval=1, why="two checks have failed")
    finally:
        os.kill(process, signal.SIGCONT)
    wait_until(lambda: not failed_checks(), seconds=60, interval=1, why="Redis is healthy again")

    zombies = "grep -l 'State:.*Z' /proc/[0-9]*/status; true"
    for service in ("redis", "redis-exporter"):
        assert stack.run_in(service, "sh", "-c", zombies) == ""


def test_a_service_gets_longer_to_stop_than_its_longest_work(stack: Stack) -> None:
    drain_and_grace = 2 + 30

    assert stack.inspect("web")["Config"]["StopTimeout"] > drain_and_grace
    assert stack.inspect("nginx")["Config"]["StopTimeout"] > 35  # proxy_read_timeout


def test_our_layers_stay_below_40_megabytes(stack: Stack) -> None:
    image = inspect(stack.settings["WEB_IMAGE"])
    base = inspect("python:3.14-slim-trixie")

    shared = len(base["RootFS"]["Layers"])
    assert image["RootFS"]["Layers"][:shared] == base["RootFS"]["Layers"]
    assert image["Size"] - base["Size"] < 40_000_000


def test_the_image_holds_no_tool_to_install_or_build_with(stack: Stack) -> None:
    script = (
        "for t in pip pip3 uv gcc cc make git curl pytest; do command -v $t; done; python -m pip"
    )

    said = stack.run_in("web", "sh", "-c", script, check=False)

    assert said.strip().endswith("No module named pip")
    assert len(said.strip().splitlines()) == 1


def test_the_health_check_fails_on_anything_but_200(stack: Stack) -> None:
    image = inspect(stack.settings["WEB_IMAGE"])
    check = image["Config"]["Healthcheck"]["Test"][1:]
    server = (
        "import http.server, json, subprocess, sys, threading\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self): self.send_response(int(status)); self.end_headers()\n"
        "    def log_message(self, *_): pass\n"
        "server = http.server.HTTPServer(('127.0.0.1', 8001), Handler)\n"
        "threading.Thread(target=server.serve_forever, daemon=True).start()\n"
        "results = {}\n"
        "for status in ('200', '204', '301', '404', '500', '503'):\n"
        "    done = subprocess.run(sys.argv[1:], capture_output=True)\n"
        "    results[status] = done.returncode\n"
        "print(json.dumps(results))\n"
    )
    image_name = stack.settings["WEB_IMAGE"]
    said = docker("run", "--rm", image_name, "python", "-c", server, *check)
    results: dict[str, int] = json.loads(said)

    assert results.pop("200") == 0
    assert all(results.values()), results
