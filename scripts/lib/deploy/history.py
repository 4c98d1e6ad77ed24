"""The deploy lock and the history of deploys.

Both are one container that can exist only once and appends lines to a file. It lives in the engine,
so all who deploy to it share it, and it ends with the connection of the deploy that started it, so
no lock outlives its deploy.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import IO

from command_error import CommandError

from .docker_client import DockerClient, Image

IN_SERVICE, ROLLED_BACK, FAILED = "in service", "rolled back", "failed"
# Images that are kept for --rollback.
VERSIONS_KEPT = 6

# In the container: print the history and an empty line, append each line given, and confirm it.
WRITER = """\
import os, sys
with open("/deploys/history.jsonl", "a+", encoding="utf-8") as file:
    file.seek(0)
    print(file.read(), flush=True)
    for line in sys.stdin:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
        print("written", flush=True)
"""
RUN = ("run", "--rm", "--no-deps", "--no-TTY")
HOLDER = '{{index .Config.Labels "deploy.who"}}, since {{index .Config.Labels "deploy.since"}}'


@dataclass(frozen=True)
class Deploy:  # pylint: disable=too-many-instance-attributes
    """One deploy, a line of the history. A second line of the same ID says how it ended."""

    id: str
    at: str
    who: str
    kind: str  # deploy or rollback
    strategy: str
    previous: Image
    target: Image
    outcome: str = ""  # empty while it runs, and if it was cut off
    reason: str = ""

    @property
    def unfinished(self) -> bool:
        return self.outcome in ("", FAILED)

    def __str__(self) -> str:
        images = [f"{one.version} {one.reference}" for one in (self.previous, self.target)]
        outcome = self.outcome or "cut off, or still under way"
        reason = f": {self.reason}" if self.reason else ""
        return (
            f"{self.at}  {self.who}  {self.kind} ({self.strategy})  {' -> '.join(images)}"
            f"  {outcome}{reason}"
        )


def parse(lines: Iterable[str]) -> list[Deploy]:
    """The deploys in the lines of the history, oldest first."""
    deploys: dict[str, Deploy] = {}
    for line in lines:
        # Skips half a line, of an engine that lost power, and lines of another format.
        with suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            images = {name: Image(**entry[name]) for name in ("previous", "target")}
            deploys[entry["id"]] = Deploy(**entry | images)
    return list(deploys.values())


def previous_version(deploys: Iterable[Deploy], running: str) -> Image | None:
    """The image that was in service before the running one; two rollbacks go back two versions.

    Args:
        running: ID of the image that is in service.
    """
    versions: list[Image] = []
    for deploy in deploys:
        if deploy.outcome != IN_SERVICE:
            continue
        if not versions or versions[-1].id != deploy.previous.id:
            versions.append(deploy.previous)
        if deploy.kind == "rollback":
            while len(versions) > 1 and versions[-1].id != deploy.target.id:
                versions.pop()
        if versions[-1].id != deploy.target.id:
            versions.append(deploy.target)
    if versions and versions[-1].id == running:
        versions.pop()
    return versions[-1] if versions else None


def outdated(deploys: Iterable[Deploy], *, keep: str) -> list[str]:
    """Names of images that no rollback will need: all but the last few versions."""
    images = [image for deploy in deploys for image in (deploy.previous, deploy.target)]
    newest_first = dict.fromkeys([keep, *(image.reference for image in reversed(images))])
    return list(newest_first)[VERSIONS_KEPT:]


class History:
    """The history, while the lock is held."""

    def __init__(self, container: "subprocess.Popen[str]", deploys: list[Deploy]) -> None:
        self._container = container
        self.deploys = deploys

    def write(self, deploy: Deploy) -> None:
        confirmed = ""
        with suppress(OSError):
            given, printed = _pipes(self._container)
            given.write(json.dumps(asdict(deploy)) + "\n")
            given.flush()
            confirmed = printed.readline()
        if confirmed != "written\n":
            raise CommandError("the container that holds lock and history has ended")


@contextmanager
def lock(docker: DockerClient, image: str, who: str) -> Iterator[History]:
    """Hold the lock until the end of the context.

    Args:
        image: any image with Python that the engine has.

    Raises:
        CommandError: another deploy holds it.
    """
    name = f"{docker.project}-deploy"
    labels = ("--label", f"deploy.who={who}", "--label", f"deploy.since={now()}")
    command = (*RUN, "--name", name, *labels, "deployer", "python", "-c", WRITER)
    container = docker.start(*command, WEB_NEXT_IMAGE=image)
    lines = []
    while (line := _pipes(container)[1].readline()) != "\n":
        if not line:
            raise CommandError(_refusal(docker, name, container.communicate()[1]))
        lines.append(line)
    try:
        yield History(container, parse(lines))
    finally:
        with suppress(OSError, subprocess.TimeoutExpired):
            container.communicate(timeout=30)


def read(docker: DockerClient, image: str) -> list[Deploy]:
    """The history, without the lock."""
    command = (*RUN, "deployer", "python", "-c", WRITER)
    return parse(docker.compose(*command, WEB_NEXT_IMAGE=image).splitlines())


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _pipes(process: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    assert process.stdin and process.stdout  # nosec B101
    return process.stdin, process.stdout


def _refusal(docker: DockerClient, name: str, error: str) -> str:
    if "already in use" not in error:
        return f"lock and history are not available: {error.strip().rpartition(chr(10))[2]}"
    with suppress(CommandError):
        holder = docker.docker("inspect", "--format", HOLDER, name).strip()
        return f"another deploy is under way, by {holder}: wait until it has ended"
    return "another deploy was under way and has just ended: try again"
