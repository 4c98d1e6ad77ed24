"""The chart on a real cluster: what is promised, and that no change of it loses a request."""

import json
import math
import os
import time
from collections.abc import Callable, Iterator

import pytest
import requests

from tests.e2e.cluster import IMAGE, Release, helm, installed, kubectl, load_images, pod
from tests.e2e.load import MixedLoad
from tests.support.load import Load, statuses
from tests.support.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
RATE = 60.0
# At least so many during each change, which is repeated.
REQUESTS = int(os.environ.get("E2E_REQUESTS", "0"))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    load_images()
    stranger = pod("stranger", IMAGE, ["sleep", "infinity"], 1)
    with installed(tmp_path_factory.mktemp("cluster"), "e2e", beside=stranger) as running:
        yield running


def test_its_own_tests_pass(release: Release) -> None:
    said = helm("test", release.name, "--namespace", release.namespace)

    assert said.count("Succeeded") == 5, said


@pytest.mark.parametrize(("path", "status"), [("/metrics", 404), ("/health", 200), ("/no", 404)])
def test_what_the_world_sees(release: Release, path: str, status: int) -> None:
    answer = requests.get(release.http + path, timeout=10)

    assert answer.status_code == status
    assert "X-Route" not in answer.headers
    if status == 404:
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_pod_of_others_reaches_nginx_alone(release: Release) -> None:
    connect = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"
    reached = set()
    for component, port in (("edge", 80), ("web", 8000), ("redis", 6379)):
        target = (f"{release.fullname}-{component}", str(port))
        python = ("exec", "stranger", "-n", release.namespace, "--", "python", "-c", connect)
        if "Error" not in kubectl(*python, *target, check=False):
            reached.add(component)

    if reached == {"edge", "web", "redis"}:
        pytest.skip("NO ENFORCEMENT: this cluster's network ignores NetworkPolicies")
    assert reached == {"edge"}


def test_an_upgrade_makes_no_password_anew_and_replaces_nothing(release: Release) -> None:
    before = release.get("secret", release.fullname, "-o", "json")
    pods = {each["metadata"]["name"] for each in release.objects("pods", "web")}

    release.upgrade()

    data = json.loads(before)["data"]
    assert json.loads(release.get("secret", release.fullname, "-o", "json"))["data"] == data
    assert {each["metadata"]["name"] for each in release.objects("pods", "web")} == pods


def new_image(release: Release) -> None:
    first = IMAGE.partition(":")[2]
    now = release.settings.get("image.tag", first)
    release.upgrade(image__tag=f"{first}-next" if now == first else first)


def new_setting(release: Release) -> None:
    level = {"WARNING": "INFO"}.get(release.settings.get("config.LOG_LEVEL", ""), "WARNING")
    release.upgrade(config__LOG_LEVEL=level)


def new_settings_of_nginx(release: Release) -> None:
    burst = int(release.settings.get("edge.clientBurst", "5000")) + 1
    release.upgrade(edge__clientBurst=str(burst))


def rollback(release: Release) -> None:
    helm("rollback", release.name, "--namespace", release.namespace, "--wait", "--timeout", "180s")
    release.upgrade()


def scaling(release: Release) -> None:
    for replicas in ("6", "2"):
        release.upgrade(replicaCount=replicas)


def draining_each_node(release: Release) -> None:
    """But for the one with Redis, which is away while it moves."""
    for node in release.nodes:
        if node != node_of_redis(release):
            drain(node)


def node_of_redis(release: Release) -> str:
    return str(release.objects("pods", "redis")[0]["spec"]["nodeName"])


def drain(node: str) -> None:
    # Nothing would start the stranger elsewhere, so kubectl refuses to drain it.
    ours = ("--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector=app!=stranger")
    kubectl("drain", node, *ours, "--timeout=120s")
    kubectl("uncordon", node)


@pytest.mark.parametrize(
    "change",
    [new_image, new_setting, new_settings_of_nginx, rollback, scaling, draining_each_node],
    ids=lambda change: change.__name__,
)
def test_no_change_loses_a_request(release: Release, change: Callable[[Release], None]) -> None:
    """Not even of clients that send without a look whether nginx has ended their connection."""
    info = [("GET", "/api/v1/info")]
    careless = Load(release.http, info, connections=40, pause=4, looks=False, seconds=math.inf)
    with careless, MixedLoad(release, rate=RATE, repeats=True, own_ports=True) as mixed:
        time.sleep(2)
        change(release)
        time.sleep(3)
        while mixed.sent < REQUESTS:
            change(release)

    print(json.dumps(mixed.summary(), indent=1))
    assert not mixed.failures
    assert statuses(careless.answers).keys() == {200}
    assert mixed.lost_items() == set()


def deleting_its_pod(release: Release) -> None:
    name = release.objects("pods", "redis")[0]["metadata"]["name"]
    kubectl("--namespace", release.namespace, "delete", "pod", name, "--wait=true")


def draining_its_node(release: Release) -> None:
    drain(node_of_redis(release))


@pytest.mark.parametrize(
    "change", [deleting_its_pod, draining_its_node], ids=lambda change: change.__name__
)
def test_a_restart_of_redis_loses_nothing_that_was_acknowledged(
    release: Release, change: Callable[[Release], None]
) -> None:
    with MixedLoad(release, rate=RATE, repeats=True, own_ports=True) as mixed:
        time.sleep(2)
        change(release)
        wait_until(lambda: _healthy(release), seconds=60, why="it is healthy again")
        time.sleep(3)
        while mixed.sent < REQUESTS:
            change(release)
            wait_until(lambda: _healthy(release), seconds=60, why="it is healthy again")

    print(json.dumps(mixed.summary(), indent=1))

    assert not mixed.failures_not_of_redis
    assert mixed.lost_items() == set()


def test_moving_to_an_autoscaler_and_back_loses_no_pod(release: Release) -> None:
    release.upgrade(replicaCount="3")
    release.upgrade(autoscaling__enabled="true", autoscaling__minReplicas="3")
    assert len(release.objects("pods", "web")) == 3
    release.upgrade(autoscaling__enabled="false", replicaCount="3")
    assert len(release.objects("pods", "web")) == 3
    release.upgrade(replicaCount="2")


def test_load_starts_more_replicas(release: Release) -> None:
    if "error" in kubectl("top", "nodes", check=False).lower():
        pytest.skip("NO METRICS: this cluster has no metrics-server")
    release.upgrade(autoscaling__enabled="true", autoscaling__maxReplicas="4")
    pages = [("GET", "/api/v1/info"), ("GET", "/api/v1/items")]
    with Load(release.http, pages, connections=20, rate=300, seconds=math.inf) as load:
        wait_until(
            lambda: len(release.objects("pods", "web")) == 4, seconds=180, why="there are four"
        )
        # The autoscaler owns the number now, which neither an upgrade nor a rollback touches.
        for level in ("WARNING", "ERROR"):
            release.upgrade(config__LOG_LEVEL=level)
        helm("rollback", release.name, "-n", release.namespace, "--wait", "--timeout", "180s")
        assert len(release.objects("pods", "web")) == 4
        release.upgrade("--force-conflicts", autoscaling__enabled="false", replicaCount="2")

    assert statuses(load.answers).keys() == {200}


def _healthy(release: Release) -> bool:
    answer = requests.get(f"{release.http}/health", timeout=10)
    return answer.ok and answer.json()["status"] == "healthy"
