"""The container engine, wherever DOCKER_HOST or the context says it is."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from . import ROOT, Problem

COMMAND_SECONDS = 60
# Starting containers, and stopping them: stop_grace_period is 40 s.
COMPOSE_SECONDS = 180
NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Container:  # pylint: disable=too-many-instance-attributes
    """One replica, as the engine sees it."""

    id: str
    name: str
    image: str
    """ID of the image it runs."""
    reference: str
    """The image's name, as it was given."""
    status: str
    """created, running, restarting, exited …"""
    health: str
    """starting, healthy or unhealthy; empty without a health check"""
    restarts: int
    addresses: dict[str, str]
    """Network name to IP address."""

    @classmethod
    def from_inspect(cls, found: dict[str, Any]) -> "Container":
        state = found["State"]
        networks = found["NetworkSettings"]["Networks"]
        return cls(
            id=found["Id"],
            name=found["Name"].lstrip("/"),
            image=found["Image"],
            reference=found["Config"]["Image"],
            status=state["Status"],
            health=state.get("Health", {}).get("Status", ""),
            restarts=found["RestartCount"],
            addresses={
                name: one["IPAddress"] for name, one in networks.items() if one["IPAddress"]
            },
        )


class Engine:
    """Runs commands and raises Problem, in one line, when one fails."""

    def __init__(self, *, context: str | None = None, env_file: Path | None = None) -> None:
        """Args:
        context: a Docker context; by default the environment decides.
        env_file: Compose's settings, if not infrastructure/.env.
        """
        self._environment = dict(os.environ)
        if context:
            self._environment["DOCKER_CONTEXT"] = context
            self._environment.pop("DOCKER_HOST", None)
        self._compose = ["docker", "compose", "--profile", "deploy"]
        if env_file:
            self._compose += ["--env-file", str(env_file)]
        self.project = ""
        self.before_each_command: Callable[[], None] = lambda: None

    def connect(self) -> dict[str, Any]:
        """Find out whether the engine answers and what the Compose files say."""
        self.docker("version", "--format", "{{.Server.Version}}")
        config: dict[str, Any] = json.loads(self.compose("config", "--format", "json"))
        self.project = config["name"]
        return config

    def docker(
        self, *arguments: str, given: str | None = None, seconds: float = COMMAND_SECONDS
    ) -> str:
        """Run `docker`; returns what it printed.

        Args:
            given: text for its standard input.
        """
        return self._run(["docker", *arguments], NO_VARIABLES, given, seconds)

    def compose(
        self,
        *arguments: str,
        environment: Mapping[str, str] = NO_VARIABLES,
        seconds: float = COMPOSE_SECONDS,
    ) -> str:
        """Run `docker compose` with these variables set, e.g. WEB_IMAGE."""
        return self._run([*self._compose, *arguments], environment, None, seconds)

    def start(self, *arguments: str, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
        """Start `docker compose` and leave it running, with its input and output to talk to."""
        return subprocess.Popen(
            [*self._compose, *arguments],
            cwd=ROOT,
            env=self._environment | dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def containers(self, service: str) -> list[Container]:
        """All of a service's containers, those that have ended included, by name."""
        labels = {"project": self.project, "service": service, "oneoff": "False"}
        filters = [
            f"--filter=label=com.docker.compose.{name}={one}" for name, one in labels.items()
        ]
        ids = self.docker("ps", "--all", "--quiet", "--no-trunc", *filters).split()
        if not ids:
            return []
        found = json.loads(self.docker("inspect", *ids))
        return sorted((Container.from_inspect(one) for one in found), key=lambda one: one.name)

    def last_words(self, container: Container) -> str:
        """The last line of a container's log."""
        lines = self._run(
            ["docker", "logs", "--tail", "1", container.id], NO_VARIABLES, None, 10, merge=True
        )
        return lines.strip()[:300] or "it has logged nothing"

    def _run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        given: str | None,
        seconds: float,
        *,
        merge: bool = False,
    ) -> str:
        self.before_each_command()
        name = " ".join(command[:2])
        try:
            # In a session of its own: Ctrl-C must not reach the commands that roll back.
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=self._environment | dict(environment),
                input="" if given is None else given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merge else subprocess.PIPE,
                text=True,
                timeout=seconds,
                check=False,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise Problem(f"{command[0]} is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise Problem(f"{name}: no end within {seconds:g} s") from error
        if done.returncode:
            lines = [
                line for line in (done.stderr or done.stdout or "").splitlines() if line.strip()
            ]
            reason = lines[-1].strip() if lines else f"exit status {done.returncode}"
            raise Problem(f"{name}: {reason}")
        return done.stdout
