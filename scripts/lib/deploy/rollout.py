"""The steps that put a version into service, and the way back when one of them fails."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import env_file
from command_error import CommandError

from .canary_analysis import CanaryAnalysis, Limits, Prometheus
from .docker_client import ROOT, UNKNOWN, DockerClient, Image
from .nginx import WEB_ONLY, Nginx, Traffic

WEB, NEXT = "web", "web-next"
SMOKE_SECONDS = 60.0
STARTED = time.monotonic()


@dataclass(frozen=True)
class Plan:  # pylint: disable=too-many-instance-attributes
    """Everything that decides how a deploy goes."""

    previous: Image
    target: Image
    strategy: str  # blue-green or canary
    replicas: int
    watch_seconds: float  # for each shift of traffic; 0: not at all
    health_seconds: float  # for the new replicas to become healthy
    limits: Limits
    settings: Path  # the file whose WEB_IMAGE names what is in service


class Replicas:
    """The replicas of `web` and of `web-next`, between which a deploy shifts traffic."""

    def __init__(self, docker: DockerClient, plan: Plan) -> None:
        self._docker = docker
        self._plan = plan

    def start(self, service: str, image: Image) -> None:
        """Make a service's replicas run this image, and wait until all are healthy.

        Raises:
            CommandError: one ends, restarts or is not healthy in time.
        """
        command = ("up", "--detach", "--no-deps", "--no-build", "--quiet-pull", service)
        name = image.reference  # each variable is that of one service
        self._docker.compose(*command, WEB_IMAGE=name, WEB_NEXT_IMAGE=name)
        seconds = self._plan.health_seconds
        deadline = time.monotonic() + seconds
        while not self.healthy(service, image):
            self.check(service)
            if time.monotonic() > deadline:
                raise CommandError(f"{service} is not healthy after {seconds:g} s")
            time.sleep(0.5)

    def healthy(self, service: str, image: Image) -> bool:
        """Whether all of a service's replicas run this image and are healthy."""
        replicas = self._docker.containers(service)
        return self.run(service, image) and all(one.health == "healthy" for one in replicas)

    def run(self, service: str, image: Image) -> bool:
        """Whether all of a service's replicas run this image, healthy or not."""
        found = [(one.image, one.status) for one in self._docker.containers(service)]
        return found == [(image.id, "running")] * self._plan.replicas

    def check(self, service: str) -> None:
        """Raise CommandError if one has ended, has restarted or is unhealthy."""
        for one in self._docker.containers(service):
            ended = one.restarts or one.status in ("exited", "dead", "restarting")
            if ended or one.health == "unhealthy":
                state = "has ended" if ended else "is unhealthy"
                raise CommandError(f"{one.name} {state}: {self._docker.last_log_line(one)}")

    def smoke_test(self, service: str, image: Image) -> str:
        """Run smoke_test.py in each replica; returns the version that answers."""
        script = (ROOT / "scripts" / "lib" / "smoke_test.py").read_text(encoding="utf-8")
        wanted = ["" if one == UNKNOWN else one for one in (image.version, image.commit)]
        version = ""
        for one in self._docker.containers(service):
            command = ("exec", "--interactive", one.id, "python", "-IS", "-", *wanted)
            try:
                version = self._docker.docker(*command, given=script, seconds=SMOKE_SECONDS).strip()
            except CommandError as error:
                reason = str(error).removeprefix("docker exec: ")
                raise CommandError(f"{one.name} fails the smoke test: {reason}") from error
        return version

    def publish(self, image: Image) -> None:
        """Copy the image's static files to where nginx serves them, as docker/init does."""
        code = (ROOT / "docker" / "init" / "files.py").read_text(encoding="utf-8")
        code += "\npublish(Path('/srv/app/static'), Path('/static'))\n"
        command = ("run", "--rm", "--no-deps", "--no-TTY", "deployer", "python", "-c", code)
        self._docker.compose(*command, WEB_NEXT_IMAGE=image.reference)

    def stop_next(self) -> None:
        """Stop and remove the candidate; requests in flight are finished."""
        self._docker.compose("rm", "--stop", "--force", NEXT)


class Rollout:
    """One deploy on the running stack."""

    def __init__(
        self, plan: Plan, proxy: Nginx, replicas: Replicas, prometheus: Prometheus
    ) -> None:
        self._plan = plan
        self._nginx = proxy
        self._replicas = replicas
        self._prometheus = prometheus
        self._analysis = CanaryAnalysis(prometheus, plan.limits, replicas=plan.replicas)

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """Each step of the deploy, as text and as a function."""
        plan, limits, replicas, watch = self._plan, self._plan.limits, self._replicas, ""
        shift, all_requests = self._shift, Traffic(100, retry=bool(plan.watch_seconds))
        if plan.watch_seconds:
            watch = (
                f" and watch it for {plan.watch_seconds:g} s (at most"
                f" {limits.error_ratio:.1%} errors, p99 {limits.p99_ms:g} ms)"
            )
        start = (
            f"start {plan.replicas} replica{'s' * (plan.replicas != 1)} of the new version beside"
            f" the old ones, and wait until healthy (at most {plan.health_seconds:g} s)"
        )
        publish = "copy its static files to where nginx serves them"
        split: list[tuple[str, Callable[[], None]]] = []
        if plan.strategy == "canary":
            part, first = "of the requests", Traffic(10, retry=True)
            half = Traffic(50, writes=True, retry=True)
            split = [
                (f"send it 10 % {part}, POST and PATCH excepted,{watch}", lambda: shift(first)),
                (f"send it 50 % {part}{watch}", lambda: shift(half)),
            ]
        return [
            (start, lambda: replicas.start(NEXT, plan.target)),
            ("smoke-test each of them directly", lambda: self._smoke_test(NEXT)),
            (publish, lambda: replicas.publish(plan.target)),
            *split,
            (f"send it all requests{watch}", lambda: shift(all_requests)),
            ("renew the old replicas with the new version, and smoke-test them", self._renew),
            ("send all requests to those", self._promote),
            ("stop the replicas that bridged the change", replicas.stop_next),
        ]

    def run(self) -> None:
        """Take every step.

        Raises:
            CommandError, KeyboardInterrupt: a step failed; `restore` puts everything back.
        """
        steps = self.steps()
        for number, (text, take) in enumerate(steps, start=1):
            say(f"{number}/{len(steps)}  {text}")
            take()

    def restore(self) -> bool:
        """Have the previous version in service and no candidate, however far the deploy has come.

        Requests are never sent to replicas that are being renewed. Where that leaves no way back,
        because the candidate is gone and `web` has the new version already, that one stays.

        Returns:
            Whether the previous version is in service.
        """
        previous, target = self._plan.previous, self._plan.target
        finished = self._nginx.serves_web_only() and self._replicas.healthy(WEB, target)
        if not (finished or self._replicas.run(WEB, previous)):
            bridged = self._replicas.healthy(NEXT, target)
            if bridged:
                self._cut_over()
            if bridged or not self._replicas.healthy(WEB, target):
                say(f"     starting {previous} again")
                self._put_into_service(previous)
        self._promote()
        self._replicas.stop_next()
        return self._replicas.run(WEB, previous) or previous.id == target.id

    def _smoke_test(self, service: str) -> None:
        version = self._replicas.smoke_test(service, self._plan.target)
        say(f"     {service} answers as version {version}")

    def _shift(self, traffic: Traffic) -> None:
        """Send the candidate its share, and analyse how it answers."""
        self._nginx.apply(traffic)
        if not self._plan.watch_seconds:
            return
        if not self._prometheus.running:
            say("     not watched: Prometheus is not running")
            return

        def check() -> None:
            self._replicas.check(NEXT)
            self._nginx.hold(traffic)

        insist = self._plan.strategy == "canary"
        counted = self._analysis.watch(self._plan.watch_seconds, insist=insist, check=check)
        say(f"     it answered {counted}")

    def _cut_over(self) -> None:
        """From here on an error of the new version is not retried on the old one, which is about to
        be renewed."""
        self._nginx.apply(Traffic(100))
        self._replicas.check(NEXT)

    def _renew(self) -> None:
        self._cut_over()
        self._put_into_service(self._plan.target)
        self._smoke_test(WEB)

    def _put_into_service(self, image: Image) -> None:
        env_file.set_value(self._plan.settings, "WEB_IMAGE", image.reference)
        self._replicas.start(WEB, image)

    def _promote(self) -> None:
        self._nginx.apply(WEB_ONLY)


def say(text: str) -> None:
    """A line of progress, with the seconds since the start."""
    print(f"{time.monotonic() - STARTED:5.0f} s  {text}", flush=True)
