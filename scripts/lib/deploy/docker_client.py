"""Docker and Compose, run as commands: containers, images and builds.

The engine is the one that DOCKER_HOST or the context names.
"""

import json
import os
import re
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from command_error import CommandError

ROOT = Path(__file__).resolve().parents[3]
COMMAND_SECONDS = 60
# Starting containers, and stopping them: stop_grace_period is 40 s.
COMPOSE_SECONDS = 180
BUILD_SECONDS, PULL_SECONDS = 900, 600
UNKNOWN = "unknown"
# name[:tag][@digest], the name perhaps with a registry and its port
REFERENCE = re.compile(
    r"(?P<name>[a-z0-9][a-zA-Z0-9.:/_-]*?)(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class Container:  # pylint: disable=too-many-instance-attributes
    """One replica, as the engine sees it."""

    id: str
    name: str
    image: str  # its ID
    reference: str  # the image's name, as it was given
    status: str  # created, running, restarting, exited …
    health: str  # starting, healthy or unhealthy; empty without a health check
    restarts: int


@dataclass(frozen=True)
class Image:
    """An image of the service."""

    reference: str  # a name that cannot move, see firm_name
    id: str
    version: str
    commit: str

    def __str__(self) -> str:
        return f"{self.version} (commit {self.commit[:7]}), {self.reference}"


class DockerClient:
    """Runs commands; one that fails is a CommandError with the last line it printed.

    Args:
        context: a Docker context; by default the environment decides.
        env_file: Compose's settings, if not infrastructure/.env.
    """

    def __init__(self, *, context: str | None = None, env_file: Path | None = None) -> None:
        self._environment = dict(os.environ)
        if context:
            self._environment["DOCKER_CONTEXT"] = context
            self._environment.pop("DOCKER_HOST", None)
        self._compose = ["docker", "compose", "--profile", "deploy"]
        # Not the .env beside compose.yaml, which may be another tool's.
        settings = ROOT / "infrastructure" / ".env"
        chosen = {"COMPOSE_ENV_FILES", "COMPOSE_DISABLE_ENV_FILE"} & self._environment.keys()
        if env_file or (settings.exists() and not chosen):
            self._compose += ["--env-file", str(env_file or settings)]
        self.project = ""
        # Name of a signal: KeyboardInterrupt is raised instead of running the next command.
        self.interrupted_by = ""

    def connect(self) -> dict[str, Any]:
        """Check that the engine answers; returns Compose's configuration."""
        self.docker("version", "--format", "{{.Server.Version}}")
        config: dict[str, Any] = json.loads(self.compose("config", "--format", "json"))
        self.project = config["name"]
        return config

    def docker(self, *arguments: str, given: str = "", seconds: float = COMMAND_SECONDS) -> str:
        """Run `docker` with this text on its standard input; returns what it printed."""
        return self._run(["docker", *arguments], seconds, {}, input=given)

    def compose(self, *arguments: str, seconds: float = COMPOSE_SECONDS, **variables: str) -> str:
        """Run `docker compose` with these variables set, e.g. WEB_IMAGE."""
        return self._run([*self._compose, *arguments], seconds, variables, input="")

    def start(self, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
        """Start `docker compose` and leave it running, with pipes to talk to it."""
        pipe, options = subprocess.PIPE, self._options(variables)
        command = [*self._compose, *arguments]
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, **options)

    def containers(self, service: str) -> list[Container]:
        """All containers of a service by name, those that have ended included."""
        labels = {"project": self.project, "service": service, "oneoff": "False"}
        filters = [f"--filter=label=com.docker.compose.{key}={one}" for key, one in labels.items()]
        ids = self.docker("ps", "--all", "--quiet", "--no-trunc", *filters).split()
        found = json.loads(self.docker("inspect", *ids)) if ids else []
        return sorted((_container(one) for one in found), key=lambda one: one.name)

    def services_with_label(self, label: str) -> list[str]:
        """Names of the services with a running container that has it."""
        filters = [
            f"--filter=label={one}" for one in (label, f"com.docker.compose.project={self.project}")
        ]
        service = '{{.Label "com.docker.compose.service"}}'
        return sorted(set(self.docker("ps", "--format", service, *filters).split()))

    def running(self, service: str) -> list[Container]:
        return [one for one in self.containers(service) if one.status == "running"]

    def last_log_line(self, container: Container) -> str:
        command = ["docker", "logs", "--tail", "1", container.id]
        line = self._run(command, COMMAND_SECONDS, {}, stderr=subprocess.STDOUT)
        return line.strip()[:300] or "it has logged nothing"

    def find_image(self, reference: str, *, change: bool = True) -> Image:
        """The image that a user named. A tag of a registry is pulled: it may have moved."""
        check_reference(reference)
        if change and _has_registry(reference) and "@" not in reference:
            self._pull(reference)
        return self.image(reference, change=change)

    def image(self, reference: str, image_id: str = "", *, change: bool = True) -> Image:
        """The image of this ID, else of this name, under a name that cannot move.

        Args:
            change: pull what is missing and give it that name; without, only describe it.
        """
        found = self._inspect_image(image_id or reference)
        if found is None and not change:
            return Image(f"{reference} (not here yet)", "", UNKNOWN, UNKNOWN)
        if found is None:
            self._pull(reference)
            found = self._inspect_image(reference)
            assert found  # nosec B101
        name = firm_name(reference, found["Id"], found.get("RepoDigests") or [])
        if change and "@" not in name and name != reference:
            self.docker("tag", found["Id"], name)
        settings = dict(line.split("=", 1) for line in found["Config"]["Env"])
        version, commit = settings.get("APP_VERSION"), settings.get("GIT_COMMIT")
        return Image(name, found["Id"], version or UNKNOWN, commit or UNKNOWN)

    def build_image(self) -> Image:
        """Build the clone as it is."""
        reference, version, commit = name_for_build()
        date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        variables = {"WEB_IMAGE": reference, "APP_VERSION": version, "GIT_COMMIT": commit}
        command = ("build", "--quiet", "web")
        self.compose(*command, seconds=BUILD_SECONDS, BUILD_DATE=date, **variables)
        return self.image(reference)

    def forget_images(self, references: list[str]) -> None:
        """Remove names that deploys have given; the engine keeps an image that still runs."""
        for reference in references:
            if re.search(r"-[0-9a-f]{12}$", reference):
                with suppress(CommandError):
                    self.docker("image", "rm", reference)

    def _inspect_image(self, name: str) -> dict[str, Any] | None:
        with suppress(CommandError):
            found: dict[str, Any] = json.loads(self.docker("image", "inspect", name))[0]
            return found
        return None

    def _pull(self, reference: str) -> None:
        try:
            self.docker("pull", "--quiet", reference, seconds=PULL_SECONDS)
        except CommandError as error:
            raise CommandError(f"{reference} is not here and cannot be pulled ({error})") from error

    def _options(self, variables: dict[str, str]) -> dict[str, Any]:
        # In a session of its own: Ctrl-C must not reach the commands that roll back.
        options = {"cwd": ROOT, "text": True, "start_new_session": True}
        return options | {"env": self._environment | variables}

    def _run(
        self, command: list[str], seconds: float, variables: dict[str, str], **options: Any
    ) -> str:
        # Between two commands only: a `docker compose up` that is cut off half way leaves a
        # container that a rollback cannot see yet.
        if self.interrupted_by:
            name, self.interrupted_by = self.interrupted_by, ""
            raise KeyboardInterrupt(f"interrupted by {name}")
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        options |= self._options(variables)
        name = " ".join(command[:2])
        try:
            done = subprocess.run(command, timeout=seconds, check=False, **options)
        except FileNotFoundError as error:
            raise CommandError(f"{command[0]} is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise CommandError(f"{name}: no end within {seconds:g} s") from error
        output: str = done.stdout
        if done.returncode:
            reason = (done.stderr or output).strip().rpartition("\n")[2].strip()
            raise CommandError(f"{name}: {reason or f'exit status {done.returncode}'}")
        return output


def check_reference(reference: str) -> None:
    """Raise CommandError for a name that is malformed or does not say which version it means."""
    match = REFERENCE.fullmatch(reference)
    if not match:
        raise CommandError(f"{reference!r} is not an image: give REF:TAG or REF@sha256:<64 digits>")
    if match["digest"] is None and match["tag"] in (None, "latest"):
        raise CommandError(f"{reference} names no version: give a tag that does, or a digest")


def firm_name(reference: str, image_id: str, digests: list[str]) -> str:
    """A name that cannot move: name@digest, or name:tag- and the start of the image's ID.

    Args:
        reference: how the image was asked for.
        image_id: `sha256:` and 64 hex digits.
        digests: its names at registries, `name@sha256:…`.
    """
    match = REFERENCE.fullmatch(reference)
    if not match:
        return image_id
    if match["digest"]:
        return reference
    for digest in digests:
        if _has_registry(reference) and digest.startswith(f"{match['name']}@"):
            return digest
    # A tag with the ID of the image that had it before loses that part.
    tag = re.sub(r"-[0-9a-f]{12}$", "", match["tag"] or "untagged")[:100]
    return f"{match['name']}:{tag}-{image_id.removeprefix('sha256:')[:12]}"


def _has_registry(reference: str) -> bool:
    first, slash, _rest = reference.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost")


def name_for_build() -> tuple[str, str, str]:
    """Name, version and commit for an image of the clone, uncommitted changes included."""
    text = (ROOT / "app" / "version.py").read_text(encoding="utf-8")
    version = text.partition('__version__ = "')[2].partition('"')[0]
    name, commit = f"devops-starter:{version}", _git("rev-parse", "HEAD")
    if not commit:
        return name, version, UNKNOWN
    changed = "-changed" if _git("status", "--porcelain", "--", "app", "docker") else ""
    return f"{name}-{commit[:7]}{changed}", version, commit + changed


def _git(*arguments: str) -> str:
    """What git prints; nothing where there is no git or no repository."""
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.check_output(
            ["git", "-C", ROOT, *arguments], stderr=subprocess.DEVNULL, text=True, timeout=30
        ).strip()
    return ""


def _container(found: dict[str, Any]) -> Container:
    return Container(
        id=found["Id"],
        name=found["Name"].lstrip("/"),
        image=found["Image"],
        reference=found["Config"]["Image"],
        status=found["State"]["Status"],
        health=found["State"].get("Health", {}).get("Status", ""),
        restarts=found["RestartCount"],
    )
