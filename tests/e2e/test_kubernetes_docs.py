"""docs/KUBERNETES.md: its commands, run in their order as a reader would."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.e2e.cluster import CHART, IMAGE, Release, forwarded, kubectl, load_images, nodes, remove
from tests.e2e.stack import docker
from tests.support.paths import ROOT
from tests.support.processes import run, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PAGE = ROOT / "docs" / "KUBERNETES.md"
VERSION = re.findall(r"^appVersion: (\S+)", (CHART / "Chart.yaml").read_text(), re.MULTILINE)[0]
REGISTRY = "registry.invalid"
IMAGES = (
    "devops-starter:local",
    *(f"{REGISTRY}/devops-starter:{tag}" for tag in (VERSION, "1.2.0")),
)
NO_OPERATOR = "NO OPERATOR: production's values need prometheus-operator's CRDs"


def commands(heading: str) -> list[str]:
    """The commands in a section's code blocks."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return "".join(blocks).replace("\\\n", " ").splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the backup goes; the images that the page names are on the nodes meanwhile."""
    load_images()
    if "servicemonitors" not in kubectl("get", "crd", "-o", "name"):
        pytest.skip(NO_OPERATOR)
    for image in IMAGES:
        docker("tag", IMAGE, image)
    done = run([*shlex.split(os.environ["E2E_CLUSTER_LOAD"]), *IMAGES], seconds=300)
    assert done.returncode == 0, done.stderr
    yield tmp_path
    for name, namespace in ((CHART.name, CHART.name), ("web", "demo")):
        remove(Release(namespace, tmp_path, nodes(), name=name))


def test_every_command_works(folder: Path) -> None:
    def execute(command: str, node: str = "") -> None:
        for name, value in {
            "REGISTRY": REGISTRY,
            "VALUES": "infrastructure/helm/devops-starter/values-production.yaml",
            "NODE": node,
            "redis.tar": f"{folder}/redis.tar",
        }.items():
            command = command.replace(name, value)
        env = os.environ | {"KUBECONFIG": os.environ["E2E_KUBECONFIG"]}
        done = run(["bash", "-ec", command], env=env, seconds=300)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    web = Release("demo", folder, nodes())
    for command in commands("Install"):
        if "--kind" not in command:  # tests/integration/test_setup_kubernetes.py
            execute(command)
    for command in commands("Upgrade, scale, roll back"):
        execute(command)

    (redis,) = web.objects("pods", "redis")
    drain, taint = commands("Drain and lose a node")
    other = next(name for name in web.nodes if name != redis["spec"]["nodeName"])
    execute(drain, other)
    kubectl("uncordon", other)
    execute(taint, redis["spec"]["nodeName"])
    execute(f"{taint}-", redis["spec"]["nodeName"])
    rewrite, save, restore = commands("Back up and restore Redis")
    # Redis moves to another node first.
    wait_until(lambda: store(web, "before"), seconds=120, interval=1, why="something is stored")
    execute(rewrite)
    execute(save)
    wait_until(lambda: store(web, "after"), seconds=60, interval=1, why="more is stored")
    execute(restore)
    wait_until(lambda: stored(web) == [200, 404], seconds=120, why="what was backed up is back")


def store(release: Release, key: str) -> bool:
    """Whether it was stored under this key."""
    token = {"Authorization": f"Bearer {release.token}"}
    try:
        with forwarded(release.namespace, f"service/{release.fullname}-edge", 80) as url:
            path = f"{url}/api/v1/cache/{key}"
            return requests.put(path, json=1, headers=token, timeout=10).ok
    except (requests.RequestException, TimeoutError):
        return False


def stored(release: Release) -> list[int]:
    """The statuses of both keys, once the service is healthy."""
    try:
        with forwarded(release.namespace, f"service/{release.fullname}-edge", 80) as url:
            if requests.get(f"{url}/health", timeout=10).json().get("status") != "healthy":
                return []
            urls = [f"{url}/api/v1/cache/{key}" for key in ("before", "after")]
            return [requests.get(each, timeout=10).status_code for each in urls]
    except (requests.RequestException, TimeoutError):
        return []
