"""What it costs nginx, between deploys, that a deploy needs no reload: CPU time per request."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import nginx_dump
import nginx_settings
import pytest

from tests.e2e.stack import docker
from tests.performance.proxy import UNLIMITED
from tests.support.load import Load, statuses
from tests.support.monitoring import COMPOSE, read_yaml
from tests.support.processes import free_port, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

IMAGE = read_yaml(COMPOSE)["services"]["nginx"]["image"]
ROUNDS, REQUESTS = 6, 5000
# The service's part, played by nginx.
UPSTREAM = """
events {} pid /tmp/nginx.pid;
http { access_log off; server { listen 8000; location / { return 200 "{}"; } } }
"""
# How a request reaches the service where no deploy can change it.
FIXED = [
    (r"(?m)^set \$pool web;\nif \(-f /tmp/deploying\) \{.*\n.*\n\}$", ""),
    (r"(?m)^    if \(\$pool = careful\) \{\n.*\n    \}$", ""),
    (r"proxy_pass http://\$pool;", "proxy_pass http://web;"),
]
WITHOUT_TLS = (r"(?ms)^    server \{\n\s+listen 8443.*?^    \}$", "")


def test_the_decision_costs_nothing_between_deploys(tmp_path: Path) -> None:
    """The median of rounds in turn, against a configuration without one."""
    with ExitStack() as stack:
        network = stack.enter_context(_network())
        stack.enter_context(_upstream(tmp_path / "web", network))
        ours = stack.enter_context(_edge(tmp_path / "ours", network, [WITHOUT_TLS]))
        fixed = stack.enter_context(_edge(tmp_path / "fixed", network, [WITHOUT_TLS, *FIXED]))
        ratios = sorted(_cost(ours) / _cost(fixed) for _ in range(ROUNDS))

    print("CPU per request, ours to fixed:", *(f"{each:.3f}" for each in ratios))
    assert ratios[ROUNDS // 2] <= 1.05


class Edge:
    """A running nginx: `port` of this machine, `pids` of its processes."""

    def __init__(self, name: str, port: int) -> None:
        self.port = port
        listed = docker("top", name, "-eo", "pid").split()
        self.pids = [int(each) for each in listed if each.isdecimal()]

    def cpu(self) -> int:
        """Nanoseconds on a CPU so far."""
        stats = (Path(f"/proc/{pid}/schedstat").read_text("ascii") for pid in self.pids)
        return sum(int(each.split()[0]) for each in stats)


def _cost(edge: Edge) -> float:
    before = edge.cpu()
    answers = Load(edge.port, [("GET", "/api/v1/info")], connections=8, total=REQUESTS).run()
    assert statuses(answers) == {200: REQUESTS}
    return edge.cpu() - before


def _serves(port: int) -> bool:
    return statuses(Load(port, [("GET", "/api/v1/info")], total=1).run()) == {200: 1}


@contextmanager
def _network() -> Iterator[str]:
    name = f"edge-cpu-{free_port()}"
    docker("network", "create", name)
    try:
        yield name
    finally:
        docker("network", "rm", name, check=False)


@contextmanager
def _upstream(folder: Path, network: str) -> Iterator[None]:
    folder.mkdir()
    (folder / "nginx.conf").write_text(UPSTREAM)
    with _container(f"{network}-web", network, folder, "--network-alias", "web"):
        yield


@contextmanager
def _edge(folder: Path, network: str, changes: list[tuple[str, str]]) -> Iterator[Edge]:
    files = nginx_settings.site(nginx_dump.SOURCE, nginx_dump.defaults() | UNLIMITED)
    for name, content in files.items():
        text = content.decode()
        for pattern, replacement in changes:
            text = re.sub(pattern, replacement, text)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    port = free_port()
    options = ["--publish", f"127.0.0.1:{port}:8080", "--tmpfs", "/var/bodies:uid=101"]
    options += ["--add-host", "nginx-status:127.0.0.1", "--tmpfs", "/run/edge:uid=101"]
    name = f"{network}-{folder.name}"
    with _container(name, network, folder, *options):
        wait_until(lambda: _serves(port), seconds=30, why="nginx answers")
        yield Edge(name, port)


@contextmanager
def _container(name: str, network: str, folder: Path, *options: str) -> Iterator[None]:
    folder.chmod(0o755)
    command = ("nginx", "-c", "/etc/nginx/site/nginx.conf", "-g", "daemon off;")
    docker(
        *("run", "--detach", "--name", name, "--network", network),
        *("--volume", f"{folder}:/etc/nginx/site:ro", *options, IMAGE, *command),
    )
    try:
        yield
    finally:
        docker("rm", "--force", name, check=False)
