"""The stack under test: started from the tree under a project name and ports of its own."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import raw_http
from tests.support.containers import pull, require_engine
from tests.support.paths import ROOT
from tests.support.processes import free_port, run

INFRASTRUCTURE = ROOT / "infrastructure"
FILES = (INFRASTRUCTURE / "docker-compose.yml", INFRASTRUCTURE / "docker-compose.test.yml")

# What a developer has set for their own stack must not reach this one.
KEPT = ("PATH", "HOME", "XDG_RUNTIME_DIR", "TMPDIR", "LANG")
START_SECONDS = 240
BUILD_SECONDS = 600
# Without these there is nothing to test; the others are left out if their image is missing.
ESSENTIAL = {"init", "web", "nginx", "redis"}
PORTS = ("HTTP_PORT", "HTTPS_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT", "GRAFANA_PORT")


def docker(*arguments: str, seconds: float = 60, check: bool = True) -> str:
    """Run `docker` and return what it printed, both outputs together."""
    done = run(["docker", *arguments], env=clean_environment(), seconds=seconds)
    output = done.stdout + done.stderr
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}: {done.returncode}\n{output}")
    return output


def clean_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or name.startswith("DOCKER_") or name.lower().endswith("_proxy")
    }


@dataclass
class Stack:
    """One running stack, and the ways to look at it."""

    project: str
    folder: Path
    """Holds the secrets and the certificate, as infrastructure/ does for a real stack."""
    settings: dict[str, str]
    services: list[str] = field(default_factory=list)
    """What runs here: every service whose image this machine has."""
    files: tuple[Path, ...] = FILES
    """The Compose files."""

    @property
    def environment(self) -> dict[str, str]:
        """For programs that run Compose on this stack."""
        return clean_environment() | {
            **self.settings,
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_FILE": os.pathsep.join(map(str, self.files)),
            "COMPOSE_DISABLE_ENV_FILE": "1",
        }

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.settings['HTTP_PORT']}"

    @property
    def https(self) -> str:
        return f"https://127.0.0.1:{self.settings['HTTPS_PORT']}"

    @property
    def prometheus(self) -> str:
        return f"http://127.0.0.1:{self.settings['PROMETHEUS_PORT']}"

    @property
    def alertmanager(self) -> str:
        return f"http://127.0.0.1:{self.settings['ALERTMANAGER_PORT']}"

    @property
    def token(self) -> str:
        return self.secret("api_token")

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text().strip()

    def secrets(self) -> dict[str, str]:
        return {path.name: path.read_text().strip() for path in (self.folder / "secrets").iterdir()}

    def connect(self) -> socket.socket:
        """A connection to nginx, without TLS."""
        return raw_http.connect(int(self.settings["HTTP_PORT"]))

    def send_raw(self, head: str) -> raw_http.Answer:
        """Send a request line and headers, as given, and read the one answer.

        `Connection: close` is added; line ends are made CRLF.
        """
        lines = [*head.strip().splitlines(), "Connection: close"]
        with self.connect() as connection:
            connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
            return raw_http.read_answer(connection)

    def compose(
        self, *arguments: str, seconds: float = START_SECONDS, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker compose` on this stack."""
        command = ["docker", "compose", *arguments]
        done = run(command, env=self.environment, seconds=seconds)
        if check and done.returncode:
            raise AssertionError(
                f"docker compose {' '.join(arguments)}: {done.returncode}\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def up(self) -> None:
        """Start everything that is not running and wait until it is healthy."""
        self.compose("up", "--detach", "--no-build", "--wait", *self.services)

    def containers(self, service: str = "") -> list[str]:
        """Names of a service's containers, or of all; those that have ended included."""
        labels = ["--filter", f"label=com.docker.compose.project={self.project}"]
        if service:
            labels += ["--filter", f"label=com.docker.compose.service={service}"]
        return sorted(docker("ps", "--all", "--format", "{{.Names}}", *labels).split())

    def inspect(self, service: str) -> dict[str, Any]:
        """`docker inspect` of a service's first container."""
        return inspect(self.containers(service)[0])

    def run_in(self, service: str, *command: str, check: bool = True) -> str:
        """Run a command in a service's first container."""
        return docker("exec", self.containers(service)[0], *command, check=check)

    def logs(self, service: str) -> str:
        return self.compose("logs", "--no-color", "--no-log-prefix", service).stdout


def inspect(container: str) -> dict[str, Any]:
    """`docker inspect` of a container or an image."""
    return inspect_all([container])[0]


def inspect_all(names: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(docker("inspect", *names))
    return found


def service_of(found: dict[str, Any]) -> str:
    return str(found["Config"]["Labels"]["com.docker.compose.service"])


def new_stack(folder: Path, name: str, **settings: str) -> Stack:
    """A stack with a project, ports and secrets of its own, not started yet."""
    require_engine()
    (folder / "secrets").mkdir()
    (folder / "certs").mkdir()
    settings = {
        "TEST_FOLDER": str(folder),
        "WEB_IMAGE": os.environ.get("WEB_IMAGE", "devops-starter:e2e"),
        "ALERT_WEBHOOK_URL": "http://alert-receiver:8099/",
        **{port: str(free_port()) for port in PORTS},
        **settings,
    }
    return Stack(f"devops-starter-{name}-{os.getpid()}", folder, settings)


@contextmanager
def started(stack: Stack) -> Iterator[list[str]]:
    """The stack, built and healthy; yields the services whose image this machine cannot get.

    It is removed afterwards, unless E2E_KEEP is set.
    """
    available, missing = available_services(stack)
    stack.services = stack.services or available
    if missing:
        print(f"\nWITHOUT {', '.join(missing)}: this machine cannot get the image", file=sys.stderr)
    try:
        if "WEB_IMAGE" not in os.environ:
            stack.compose("build", "web", seconds=BUILD_SECONDS)
        stack.up()
        yield missing
    finally:
        if os.environ.get("E2E_KEEP"):
            remove = f"docker compose --project-name {stack.project} down --volumes"
            print(f"\nleft running: {stack.http}; remove with: {remove}", file=sys.stderr)
        else:
            stack.compose("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)


def available_services(stack: Stack) -> tuple[list[str], list[str]]:
    """Get the images of all services.

    Returns:
        The services that can be started, and those whose image is missing.
    """
    services = json.loads(stack.compose("config", "--format", "json").stdout)["services"]
    built = {service["image"] for service in services.values() if "build" in service}
    pulled = {service["image"] for service in services.values()} - built
    present = {image: pull(image) for image in sorted(pulled | _bases(ROOT / "docker/Dockerfile"))}
    missing = [
        name for name, service in services.items() if not present.get(service["image"], True)
    ]
    assert not ESSENTIAL & set(missing), f"no image for {missing}"
    return [name for name in services if name not in missing], missing


def _bases(dockerfile: Path) -> set[str]:
    words = [line.split() for line in dockerfile.read_text().splitlines() if line[:5] == "FROM "]
    stages = {line[3] for line in words if len(line) > 3}
    return {line[1] for line in words} - stages
