"""The chart, installed in a real cluster of several nodes for these tests alone.

E2E_KUBECONFIG names the cluster: never the context that somebody works with. E2E_CLUSTER_LOAD is a
command that puts local images on its nodes (`kind load docker-image --name NAME`, for example).
"""

import json
import os
import shlex
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.stack import docker
from tests.support.paths import ROOT
from tests.support.processes import end_group, free_port, run, wait_until

CHART = ROOT / "infrastructure" / "helm" / "devops-starter"
IMAGE = "devops-starter:e2e-cluster"
HTTP_PORT, HTTPS_PORT = 30180, 30543
NO_CLUSTER = (
    "NO CLUSTER: set E2E_KUBECONFIG to a cluster for tests (docs/KUBERNETES.md), with helm on PATH"
)
# All clients of a test are one address here.
SETTINGS = {
    "image.tag": IMAGE.partition(":")[2],
    "edge.service.type": "NodePort",
    "edge.service.externalTrafficPolicy": "Cluster",
    "edge.service.nodePorts.http": str(HTTP_PORT),
    "edge.service.nodePorts.https": str(HTTPS_PORT),
    "edge.clientRequestsPerSecond": "5000",
    "edge.clientBurst": "5000",
    "edge.clientConnections": "4096",
    "tls.existingSecret": "tls",
    "config.DEMO_ENABLED": "true",
    # A test machine stalls for longer than the 250 ms after which the service gives the cache up.
    "config.REDIS_TIMEOUT_MS": "2000",
}


def kubectl(*arguments: str, seconds: float = 120, check: bool = True) -> str:
    """Run kubectl on the cluster for tests and return what it printed."""
    return _run("kubectl", *arguments, seconds=seconds, check=check)


def helm(*arguments: str, seconds: float = 240, check: bool = True) -> str:
    return _run("helm", *arguments, seconds=seconds, check=check)


def _environment() -> dict[str, str]:
    if "E2E_KUBECONFIG" not in os.environ:
        pytest.skip(NO_CLUSTER)
    return {**os.environ, "KUBECONFIG": os.environ["E2E_KUBECONFIG"]}


def _run(*command: str, seconds: float, check: bool) -> str:
    done = run(command, env=_environment(), seconds=seconds)
    output = done.stdout + done.stderr
    assert done.returncode == 0 or not check, f"{shlex.join(command)}: {done.returncode}\n{output}"
    return output


@dataclass
class Release:
    """One installed chart. It has the members of Stack that a load needs."""

    namespace: str
    folder: Path
    """Has certs/tls.crt, which clients trust."""
    nodes: dict[str, str]
    """Name and address."""
    settings: dict[str, str] = field(default_factory=dict)
    name: str = "web"
    chart: Path = CHART
    entry: str = ""
    """The address of the node by which requests come in."""

    def __post_init__(self) -> None:
        self.entry = self.entry or min(self.nodes.values())

    @property
    def http(self) -> str:
        return f"http://{self.entry}:{HTTP_PORT}"

    @property
    def https(self) -> str:
        return f"https://{self.entry}:{HTTPS_PORT}"

    @property
    def fullname(self) -> str:
        return f"{self.name}-devops-starter"

    @property
    def token(self) -> str:
        return self.secret("api_token")

    def secret(self, key: str) -> str:
        template = f'{{{{index .data "{key}" | base64decode}}}}'
        return self.get("secret", self.fullname, "-o", f"go-template={template}")

    def get(self, *arguments: str) -> str:
        return kubectl("--namespace", self.namespace, "get", *arguments)

    def objects(self, kind: str, component: str) -> list[dict[str, Any]]:
        """All of this kind that are not being deleted."""
        selector = f"app.kubernetes.io/component={component}"
        found: dict[str, Any] = json.loads(self.get(kind, "--selector", selector, "-o", "json"))
        return [each for each in found["items"] if "deletionTimestamp" not in each["metadata"]]

    def upgrade(self, *options: str, **settings: str) -> str:
        """Install or upgrade, and wait until all is ready; `settings` stay for later upgrades.

        Two underscores stand for the dot in a value's name.
        """
        self.settings |= {name.replace("__", "."): value for name, value in settings.items()}
        values = [f"--set={name}={value}" for name, value in (SETTINGS | self.settings).items()]
        return helm(
            *("upgrade", "--install", self.name, str(self.chart), "--namespace", self.namespace),
            *("--wait", "--timeout", "180s", *options, *values),
        )


@contextmanager
def installed(
    folder: Path,
    namespace: str,
    *,
    chart: Path = CHART,
    beside: Iterable[dict[str, Any]] = (),
    **settings: str,
) -> Iterator[Release]:
    """The chart in a namespace of its own, in which Pod Security is "restricted".

    `beside` are objects that are there first.
    """
    release = Release(namespace, folder, nodes(), chart=chart)
    kubectl("create", "namespace", namespace)
    try:
        level = "pod-security.kubernetes.io/enforce=restricted"
        kubectl("label", "namespace", namespace, level)
        _make_certificate(release)
        objects = folder / "beside.yaml"
        objects.write_text(yaml.safe_dump_all(beside))
        if any(beside):
            kubectl("apply", "-n", namespace, "-f", str(objects))
        release.upgrade(**settings)
        yield release
    finally:
        if not os.environ.get("E2E_KEEP"):
            remove(release)


@contextmanager
def forwarded(namespace: str, target: str, port: int) -> Iterator[str]:
    """The URL of a Service's port, on this machine."""
    local = free_port()
    command = ["kubectl", "port-forward", "-n", namespace, target, f"{local}:{port}"]
    process = subprocess.Popen(
        command, env=_environment(), stdout=subprocess.DEVNULL, start_new_session=True
    )
    url = f"http://127.0.0.1:{local}"
    try:
        wait_until(lambda: _listens(local), seconds=30, why=f"{target} is forwarded")
        yield url
    finally:
        end_group(process)


def pod(name: str, image: str, command: list[str], port: int) -> list[dict[str, Any]]:
    """A pod for `installed`, with a Service of the same name."""
    metadata = {"name": name, "labels": {"app": name}}
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "Never",
        "command": command,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    service = {"selector": metadata["labels"], "ports": [{"port": port}]}
    spec = {"containers": [container]}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
    ]


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def nodes() -> dict[str, str]:
    """Each node's name and address."""
    return {
        node["metadata"]["name"]: address["address"]
        for node in json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
        for address in node["status"]["addresses"]
        if address["type"] == "InternalIP"
    }


def remove(release: Release) -> None:
    """Uninstall it, and empty its volumes for the next release."""
    for pod in release.objects("pods", "redis"):
        clear = ("--container", "redis", "--", "sh", "-c", "rm -rf /data/*")
        kubectl("-n", release.namespace, "exec", pod["metadata"]["name"], *clear, check=False)
    helm("uninstall", release.name, "-n", release.namespace, check=False)
    kubectl("delete", "namespace", release.namespace, "--wait=true", seconds=180, check=False)
    for volume in json.loads(kubectl("get", "pv", "-o", "json"))["items"]:
        claimed = volume["spec"].get("claimRef", {}).get("namespace") == release.namespace
        if claimed and volume["status"]["phase"] == "Released":
            name = volume["metadata"]["name"]
            kubectl("patch", "pv", name, "--patch", '{"spec":{"claimRef":null}}')


def _make_certificate(release: Release) -> None:
    certs = release.folder / "certs"
    certs.mkdir()
    names = ",".join(f"IP:{address}" for address in release.nodes.values())
    made = run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName={names}"),
            *("-keyout", str(certs / "tls.key"), "-out", str(certs / "tls.crt")),
        ]
    )
    assert made.returncode == 0, made.stderr
    files = (f"--cert={certs / 'tls.crt'}", f"--key={certs / 'tls.key'}")
    kubectl("--namespace", release.namespace, "create", "secret", "tls", "tls", *files)


def load_images(*others: str) -> None:
    """Build the service's image, and put all images of the chart on the nodes, and these."""
    kubectl("version")
    dockerfile = str(ROOT / "docker" / "Dockerfile")
    docker("build", "--quiet", "--file", dockerfile, "--tag", IMAGE, str(ROOT), seconds=600)
    docker("tag", IMAGE, f"{IMAGE}-next")
    rendered = helm("template", "x", str(CHART))
    named = {
        line.split('"')[1] for line in rendered.splitlines() if line.strip().startswith("image:")
    }
    own = {each for each in named if each.startswith("devops-starter:")}
    command = shlex.split(os.environ["E2E_CLUSTER_LOAD"])
    done = run([*command, IMAGE, f"{IMAGE}-next", *sorted(named - own), *others], seconds=600)
    assert done.returncode == 0, done.stdout + done.stderr
