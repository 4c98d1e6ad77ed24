"""The release on the cluster beside the stack of Compose, in one run."""

import json
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Release, installed, load_images
from tests.e2e.stack import Stack, new_stack, started
from tests.performance import instructions, machine
from tests.performance.variants import CACHED, INFO, Stage, Variant
from tests.support.chart import of_kind, render
from tests.support.load import Load, statuses
from tests.support.redis_server import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROUNDS, REQUESTS = 9, 3000


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = new_stack(tmp_path_factory.mktemp("compose"), "beside")
    with started(running):
        yield running


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """One nginx and two of the service, as in the stack."""
    load_images()
    with installed(
        tmp_path_factory.mktemp("beside"), "e2e-beside", edge__replicaCount="1"
    ) as found:
        yield found


def test_as_many_requests_are_answered_as_by_the_stack(release: Release, compose: Stack) -> None:
    ratios = []
    for _ in range(ROUNDS):
        there, here = _rate(release.http), _rate(compose.http)
        ratios.append(there / here)

    print("requests per second, cluster to Compose:", *(f"{each:.2f}" for each in sorted(ratios)))
    assert statistics.median(ratios) >= 0.9


def _rate(url: str) -> float:
    """Requests per second, from eight connections."""
    answers = Load(url, [("GET", "/api/v1/items?limit=1")], connections=8, total=REQUESTS).run()
    assert statuses(answers) == {200: REQUESTS}
    first = min(each.at for each in answers)
    return REQUESTS / (max(each.at + each.seconds for each in answers) - first)


def test_a_request_takes_no_more_instructions_with_the_charts_settings(tmp_path: Path) -> None:
    """The code and the image are the same."""
    if not shutil.which("valgrind"):
        pytest.skip("NO VALGRIND: apt-get install valgrind")
    stack = json.loads(new_stack(tmp_path, "settings").compose("config", "--format=json").stdout)
    (web,) = of_kind(render(), "Deployment", "web")
    environments = {
        "Compose": stack["services"]["web"]["environment"],
        "chart": {
            each["name"]: each.get("value", "")
            for each in web["spec"]["template"]["spec"]["containers"][0]["env"]
        },
    }
    with RedisServer() as redis:
        stage = Stage(tmp_path, redis.url, machine.cores())
        variants = [Variant(name, settings=_own(env)) for name, env in environments.items()]
        with stage.server(variants[0], 1) as service:
            stage.fill(service)
        counts = instructions.measure(stage, variants, (INFO, CACHED))

    print("instructions of a request, Compose and chart:", *counts)
    assert all(chart <= 1.02 * compose for compose, chart in zip(*counts, strict=True))


def _own(environment: dict[str, str]) -> dict[str, str]:
    """What is set, but for addresses, secrets, and the number of workers."""
    other = ("REDIS_", "SECRET_KEY", "API_TOKENS", "BIND", "MANAGEMENT_BIND", "WEB_CONCURRENCY")
    return {
        name: value
        for name, value in environment.items()
        if value and not name.startswith(other) and not name.endswith("_FILE")
    }
