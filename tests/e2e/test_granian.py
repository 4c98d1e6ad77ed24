"""The other server, in containers: what `SERVER=granian` in infrastructure/.env builds and runs."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests

from tests.e2e.stack import BUILD_SECONDS, Stack, docker, inspect
from tests.support.processes import wait_until

IMAGE = "devops-starter:e2e-granian"


@pytest.fixture
def granian(stack: Stack) -> Iterator[Stack]:
    """The same stack, its service on Granian until the test has ended."""
    settings = stack.settings | {"SERVER": "granian", "WEB_IMAGE": IMAGE}
    other = replace(stack, settings=settings)
    try:
        other.compose("build", "web", seconds=BUILD_SECONDS)
        _run(other)
        yield other
    finally:
        _run(stack)
        docker("image", "rm", "--force", IMAGE, check=False)


def _run(stack: Stack) -> None:
    stack.compose("up", "--detach", "--no-deps", "--no-build", "--wait", "web")
    wait_until(
        lambda: requests.get(f"{stack.http}/api/v1/info", timeout=5).status_code == 200,
        seconds=10,
        why="nginx knows the new container's address",
    )


def targets(stack: Stack) -> dict[str, str]:
    """By instance, how Prometheus's last scrape of the service went."""
    url = f"{stack.prometheus}/api/v1/targets?state=active"
    found = requests.get(url, timeout=5).json()["data"]["activeTargets"]
    return {one["labels"]["instance"]: one["health"] for one in found if one["scrapePool"] == "web"}


def addresses(stack: Stack) -> set[str]:
    """Where the replicas listen for Prometheus."""
    found = [inspect(one)["NetworkSettings"]["Networks"] for one in stack.containers("web")]
    return {f"{one[f'{stack.project}_monitoring']['IPAddress']}:8001" for one in found}


@pytest.mark.slow
def test_it_serves_is_scraped_logs_and_stops_like_the_default(
    granian: Stack, api: requests.Session
) -> None:
    made = api.post(f"{granian.http}/api/v1/items", json={"name": "on Granian"}, timeout=5)
    read = requests.get(f"{granian.http}{made.headers['Location']}", timeout=5)
    missing = requests.get(f"{granian.http}/api/v1/items/none", timeout=5)

    assert made.status_code == 201
    assert read.json()["name"] == "on Granian"
    assert missing.status_code in (404, 422)
    assert missing.headers["Content-Type"] == "application/problem+json"
    wait_until(
        lambda: set(targets(granian)) == addresses(granian)
        and set(targets(granian).values()) == {"up"},
        seconds=60,
        why="Prometheus has scraped each replica",
    )

    replicas = granian.containers("web")
    docker("stop", *replicas)
    lines = [json.loads(line) for one in replicas for line in docker("logs", one).splitlines()]

    states = docker("inspect", "--format", "{{.State.ExitCode}}", *replicas).split()
    assert states == ["0"] * len(replicas)
    assert any(line["logger"] == "_granian" for line in lines)
    served = [line for line in lines if line.get("request_id") == made.headers["X-Request-ID"]]
    assert [line["status"] for line in served] == [201]
