"""Three Redis with Sentinel on a real cluster: what was acknowledged outlives any node."""

import functools
import itertools
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.e2e.cluster import CHART, Release, installed, kubectl, load_images
from tests.e2e.load import MixedLoad
from tests.e2e.stack import docker
from tests.support.processes import wait_until

# Nodes to kill, one after the other.
KILLS = int(os.environ.get("E2E_KILLS", "1"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 150 * KILLS)]
load = functools.partial(MixedLoad, rate=40.0, repeats=True, own_ports=True)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    load_images()
    folder = tmp_path_factory.mktemp("sentinel")
    with installed(folder, "e2e-sentinel", redis__mode="sentinel", replicaCount="3") as running:
        wait_until(lambda: serves(running), seconds=60, interval=1.0, why="a primary has a replica")
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
    with load(release) as mixed:
        time.sleep(3)
        old = primary(release)
        kubectl("-n", release.namespace, "delete", "pod", old, "--wait=true")
        wait_until(lambda: serves(release), seconds=60, interval=1.0, why="writes are acknowledged")
        time.sleep(5)

    print(json.dumps(mixed.summary(), indent=1))
    assert primary(release) != old
    assert mixed.items
    assert mixed.lost_items() == set()


def test_sentinel_knows_the_replicas_before_it_has_asked_the_primary(tmp_path: Path) -> None:
    """A primary that dies in its first ten seconds has a successor, too."""
    names = [f"redis-{number}.svc" for number in range(3)]
    hosts = [f"--add-host={name}:127.0.0.{number}" for number, name in enumerate(names, 1)]
    for user in ("app", "jobs", "exporter", "operator", "replication"):
        (tmp_path / f"redis_{user}_password").write_text(f"{user}-password")
    folders = {
        CHART / "files" / "redis": "/etc/redis",
        CHART / "scripts": "/scripts",
        tmp_path: "/passwords",
    }
    mounts = [f"--volume={place}:{inside}:ro" for place, inside in folders.items()]
    started = """
        mkdir -p /run/redis /run/exporter && sh /scripts/redis-configure.sh || exit
        redis-server /data/sentinel.conf --sentinel --daemonize yes >/dev/null
        sleep 1
        redis-cli -p 26379 --raw sentinel replicas primary | grep -x '127.0.0.[0-9]:6379'
    """
    environment = ("--env", f"PODS={' '.join(names)}", "--hostname", "redis-1")
    run = ("run", "--rm", "--user=0", "--entrypoint=sh", *environment, *hosts, *mounts)

    said = docker(*run, "redis:8.0-alpine", "-c", started)

    assert set(said.split()) == {"127.0.0.2:6379", "127.0.0.3:6379"}


def test_a_killed_node_loses_nothing_that_was_acknowledged(release: Release) -> None:
    """First the one with the primary; then, if more are asked for, each node in turn."""
    turns = itertools.cycle(release.nodes)
    late = []
    for number in range(KILLS):
        late += _kill(release, next(turns) if number else node_of(release, primary(release)))

    assert not late


def _kill(release: Release, victim: str) -> list[str]:
    """Kill a node and bring it back; what failed 40 s or more after writes went on."""
    release.entry = next(each for name, each in release.nodes.items() if name != victim)
    had_primary = node_of(release, primary(release)) == victim
    with load(release) as mixed:
        time.sleep(3)
        begun = time.monotonic()
        print(f"{victim} is killed at {time.strftime('%H:%M:%S')}")
        with dead(victim):
            time.sleep(2)
            wait_until(lambda: serves(release), seconds=120, interval=1.0, why="writes go on")
            again = time.monotonic() - begun
            time.sleep(40)
            before = len(mixed.failures)
            time.sleep(10)
            late = mixed.failures[before:]

    print(f"{victim}, with the primary: {had_primary}; writes again after {again:.0f} s")
    for what, failed in (("any", mixed.failures), ("but 503", mixed.failures_not_of_redis)):
        sent = sorted(each[:8] for each in failed) or ["none"]
        print(f"failures, {what}: of what was sent from {sent[0]} to {sent[-1]}")
    print(json.dumps(mixed.summary() | {"failures": late}, indent=1))
    assert len(mixed.items) > 100
    assert mixed.lost_items() == set()
    ready = ("rollout", "status", f"statefulset/{release.fullname}-redis", "--timeout=90s")
    kubectl("-n", release.namespace, *ready)
    return late
