"""Three Redis with Sentinel on a real cluster: what was acknowledged outlives any node."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from tests.e2e.cluster import Release, installed, kubectl, load_images
from tests.e2e.load import MixedLoad
from tests.e2e.stack import docker
from tests.support.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
RATE = 40.0


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    load_images()
    folder = tmp_path_factory.mktemp("sentinel")
    with installed(folder, "e2e-sentinel", redis__mode="sentinel", replicaCount="3") as running:
        wait_until(lambda: serves(running), seconds=60, why="a primary has a replica")
        yield running


def serves(release: Release) -> bool:
    """Whether writes are acknowledged."""
    token = {"Authorization": f"Bearer {release.token}"}
    try:
        answer = requests.put(
            f"{release.http}/api/v1/session", json={"data": {}}, headers=token, timeout=5
        )
    except requests.RequestException:
        return False
    return answer.ok


def primary(release: Release) -> str:
    """The name of the pod that Sentinel calls the primary."""
    pod = f"statefulset/{release.fullname}-redis"
    command = (
        "redis-cli",
        "-p",
        "26379",
        "--raw",
        "sentinel",
        "get-master-addr-by-name",
        "primary",
    )
    said = kubectl("-n", release.namespace, "exec", pod, "-c", "sentinel", "--", *command)
    services = json.loads(release.get("services", "-o", "json"))["items"]
    # The Service of a pod has the pod's name.
    return next(
        str(each["metadata"]["name"])
        for each in services
        if each["spec"]["clusterIP"] == said.split()[0]
    )


def node_of(release: Release, pod: str) -> str:
    return release.get("pod", pod, "-o", "jsonpath={.spec.nodeName}")


@contextmanager
def dead(node: str) -> Iterator[None]:
    """The node is killed as by a power failure, and comes back at the end."""
    docker("kill", node)
    try:
        yield
    finally:
        docker("start", node)
        kubectl("wait", "--for=condition=Ready", f"node/{node}", "--timeout=120s")


def test_a_new_primary_is_found_when_the_pod_of_the_old_one_ends(release: Release) -> None:
    with MixedLoad(release, rate=RATE, repeats=True) as mixed:
        time.sleep(3)
        old = primary(release)
        kubectl("-n", release.namespace, "delete", "pod", old, "--wait=true")
        wait_until(lambda: serves(release), seconds=60, why="writes are acknowledged")
        time.sleep(5)

    print(json.dumps(mixed.summary(), indent=1))
    assert primary(release) != old
    assert mixed.items
    assert mixed.lost_items() == set()


def test_a_killed_node_with_the_primary_loses_nothing_that_was_acknowledged(
    release: Release,
) -> None:
    (entry,) = (name for name, address in release.nodes.items() if address == release.entry)
    if node_of(release, primary(release)) == entry:  # the load comes in by that node
        kubectl("-n", release.namespace, "delete", "pod", primary(release), "--wait=true")
        ready = ("rollout", "status", f"statefulset/{release.fullname}-redis", "--timeout=90s")
        kubectl("-n", release.namespace, *ready)
    victim = node_of(release, primary(release))
    with MixedLoad(release, rate=RATE, repeats=True) as mixed:
        time.sleep(3)
        begun = time.monotonic()
        with dead(victim):
            time.sleep(2)
            wait_until(lambda: serves(release), seconds=120, why="writes are acknowledged again")
            print(f"writes again after {time.monotonic() - begun:.0f} s")
            time.sleep(40)
            late = len(mixed.failures)
            time.sleep(10)
            assert not mixed.failures[late:]

    print(json.dumps(mixed.summary(), indent=1))
    assert len(mixed.items) > 100
    assert mixed.lost_items() == set()
