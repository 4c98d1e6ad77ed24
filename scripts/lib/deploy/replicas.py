"""The service's replicas: starting, judging, stopping those of `web` and of `web-next`."""

from . import ROOT, Problem
from .engine import COMPOSE_SECONDS, Container, Engine
from .images import UNKNOWN, Image
from .waiting import wait_until

WEB, NEXT = "web", "web-next"
SMOKE_SECONDS = 60.0


class Replicas:
    """The two sets of replicas that a deploy shifts traffic between."""

    def __init__(self, engine: Engine, *, count: int, health_seconds: float) -> None:
        """Args:
        count: replicas of each set.
        health_seconds: how long starting may take.
        """
        self._engine = engine
        self.count = count
        self._health_seconds = health_seconds

    def of(self, service: str) -> list[Container]:
        return self._engine.containers(service)

    def start(self, service: str, image: Image) -> list[Container]:
        """Make a service's replicas run this image; returns them when all are healthy.

        Raises:
            Problem: one ends, starts again or is not healthy in time.
        """
        variable = "WEB_IMAGE" if service == WEB else "WEB_NEXT_IMAGE"
        command = ("up", "--detach", "--no-deps", "--no-build", "--quiet-pull", service)
        self._engine.compose(*command, environment={variable: image.reference})
        wait_until(
            lambda: self._all_healthy(service, image),
            seconds=self._health_seconds,
            why=f"{service} becomes healthy",
        )
        return self.of(service)

    def serve(self, service: str, image: Image) -> bool:
        """Whether all of a service's replicas run this image and are healthy."""
        return self.has(service, image) and all(one.health == "healthy" for one in self.of(service))

    def has(self, service: str, image: Image) -> bool:
        """Whether all of a service's replicas are there with this image, healthy or not."""
        replicas = self.of(service)
        return len(replicas) == self.count and all(
            one.image == image.id and one.status == "running" for one in replicas
        )

    def check_alive(self, service: str) -> None:
        """Raise Problem if one has ended, has restarted, or says that it is unhealthy."""
        for one in self.of(service):
            if one.restarts or one.status in ("exited", "dead", "restarting"):
                words = self._engine.last_words(one)
                raise Problem(f"{one.name} has ended: {words}")
            if one.health == "unhealthy":
                raise Problem(f"{one.name} is unhealthy: {self._engine.last_words(one)}")

    def smoke_test(self, service: str, image: Image, script: str) -> str:
        """Run the script in each replica; returns the version that answers."""
        version = ""
        for one in self.of(service):
            commit = image.commit if image.commit != "unknown" else ""
            wanted = image.version if image.version != UNKNOWN else ""
            command = ("exec", "--interactive", one.id, "python", "-IS", "-", wanted, commit)
            try:
                version = self._engine.docker(*command, given=script, seconds=SMOKE_SECONDS).strip()
            except Problem as problem:
                reason = str(problem).removeprefix("docker exec: ")
                raise Problem(f"{one.name} fails the smoke test: {reason}") from problem
        return version

    def publish(self, image: Image) -> None:
        """Copy the image's static files to where nginx serves them.

        With the code of docker/init, which does the same at the stack's start.
        """
        code = (ROOT / "docker" / "init" / "files.py").read_text(encoding="utf-8")
        code += "\npublish(Path('/srv/app/static'), Path('/static'))\n"
        command = ("run", "--rm", "--no-deps", "--no-TTY", "deployer", "python", "-c", code)
        self._engine.compose(*command, environment={"WEB_NEXT_IMAGE": image.reference})

    def stop_next(self) -> None:
        """Stop and remove the candidate; what it has begun it may end."""
        self._engine.compose("rm", "--stop", "--force", NEXT, seconds=COMPOSE_SECONDS)

    def _all_healthy(self, service: str, image: Image) -> bool:
        self.check_alive(service)
        return self.serve(service, image)
