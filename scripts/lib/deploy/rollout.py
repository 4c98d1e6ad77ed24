"""Takes the steps of a plan, and puts everything back when one of them fails."""

import os
import sys
import time
from pathlib import Path

import env_file
from command_error import CommandError

from . import nginx
from .canary_analysis import CanaryAnalysis, Prometheus
from .docker_client import ROOT, UNKNOWN, DockerClient, Image
from .plan import CANARY_PERCENTS, Action, Plan, Step

WEB, NEXT = "web", "web-next"
SMOKE_SECONDS = 60.0


class Progress:
    """One line per step on standard output, with the seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._terminal = sys.stdout.isatty()
        self._transient = False

    def say(self, text: str, colour: int = 0) -> None:
        if colour and self._terminal and not os.environ.get("NO_COLOR"):
            text = f"\033[{colour}m{text}\033[0m"
        newline = "\n" if self._transient else ""
        self._transient = False
        print(f"{newline}{self._stamp()}  {text}", flush=True)

    def good(self, text: str) -> None:
        self.say(text, 32)

    def bad(self, text: str) -> None:
        self.say(text, 31)

    def transient(self, text: str) -> None:
        """A line that replaces the one before it; on a terminal only."""
        if self._terminal:
            print(f"\r\033[K{self._stamp()}       {text}", end="", flush=True)
            self._transient = True

    def _stamp(self) -> str:
        return f"{time.monotonic() - self._started:5.0f} s"


class Replicas:
    """The replicas of `web` and of `web-next`, between which a deploy shifts traffic."""

    def __init__(self, docker: DockerClient, *, count: int, health_seconds: float) -> None:
        """Args:
        count: replicas of each service.
        health_seconds: how long starting may take.
        """
        self._docker = docker
        self._count = count
        self._health_seconds = health_seconds

    def start(self, service: str, image: Image) -> None:
        """Make a service's replicas run this image, and wait until all are healthy.

        Raises:
            CommandError: one ends, restarts or is not healthy in time.
        """
        variable = "WEB_IMAGE" if service == WEB else "WEB_NEXT_IMAGE"
        command = ("up", "--detach", "--no-deps", "--no-build", "--quiet-pull", service)
        self._docker.compose(*command, environment={variable: image.reference})
        deadline = time.monotonic() + self._health_seconds
        while not self.healthy(service, image):
            self.check(service)
            if time.monotonic() > deadline:
                raise CommandError(f"{service} is not healthy after {self._health_seconds:g} s")
            time.sleep(0.5)

    def healthy(self, service: str, image: Image) -> bool:
        """Whether all of a service's replicas run this image and are healthy."""
        return self.run(service, image) and all(
            one.health == "healthy" for one in self._docker.containers(service)
        )

    def run(self, service: str, image: Image) -> bool:
        """Whether all of a service's replicas run this image, healthy or not."""
        replicas = self._docker.containers(service)
        return len(replicas) == self._count and all(
            one.image == image.id and one.status == "running" for one in replicas
        )

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
        self._docker.compose(*command, environment={"WEB_NEXT_IMAGE": image.reference})

    def stop_next(self) -> None:
        """Stop and remove the candidate; requests in flight are finished."""
        self._docker.compose("rm", "--stop", "--force", NEXT)


class Rollout:  # pylint: disable=too-many-instance-attributes
    """One deploy on the running stack."""

    def __init__(  # pylint: disable=too-many-arguments,too-many-positional-arguments
        self,
        plan: Plan,
        docker: DockerClient,
        proxy: nginx.Nginx,
        replicas: Replicas,
        prometheus: Prometheus,
        settings: Path,
        progress: Progress,
    ) -> None:
        """Args:
        settings: the file whose WEB_IMAGE names what is in service.
        """
        self._plan = plan
        self._docker = docker
        self._nginx = proxy
        self._replicas = replicas
        self._settings = settings
        self._progress = progress
        self._prometheus = prometheus
        self._analysis = CanaryAnalysis(prometheus, plan.limits, replicas=plan.replicas)

    def run(self) -> None:
        """Take every step.

        Raises:
            CommandError, KeyboardInterrupt: a step failed; `restore` puts everything back.
        """
        steps = self._plan.steps()
        for number, step in enumerate(steps, start=1):
            self._progress.say(f"{number}/{len(steps)}  {step.text}", 1)
            self._take(step)

    def _take(self, step: Step) -> None:
        target = self._plan.target
        match step.action:
            case Action.START:
                self._replicas.start(NEXT, target)
            case Action.SMOKE_TEST:
                self._smoke_test(NEXT)
            case Action.PUBLISH:
                self._replicas.publish(target)
            case Action.SPLIT:
                writes = step.percent > CANARY_PERCENTS[0]
                web, candidate = self._addresses(WEB), self._addresses(NEXT)
                self._shift(nginx.split(web, candidate, step.percent, writes=writes))
            case Action.SWITCH:
                retry_errors = bool(self._plan.watch_seconds)
                self._shift(nginx.cut_over(self._addresses(NEXT), retry_errors=retry_errors))
            case Action.CUT_OVER:
                self._cut_over()
            case Action.RENEW:
                self._renew(target)
                self._smoke_test(WEB)
            case Action.PROMOTE:
                self._promote()
            case Action.STOP:
                self._stop()

    def restore(self) -> bool:
        """Have the previous version in service and no candidate, however far the deploy has come.

        Requests are never sent to replicas that are being renewed. Where that leaves no way back,
        because the candidate is gone and `web` has the new version already, that one stays.

        Returns:
            Whether the previous version is in service.
        """
        previous, target = self._plan.previous, self._plan.target
        if self._nginx.current() != nginx.stable():
            if not self._replicas.run(WEB, previous):
                bridged = self._replicas.healthy(NEXT, target)
                if bridged:
                    self._cut_over()
                if bridged or not self._replicas.healthy(WEB, target):
                    self._progress.say(f"     starting {previous} again")
                    self._renew(previous)
            self._progress.say("     all requests go to web; waiting until none goes elsewhere")
            self._promote()
        self._stop()
        return self._replicas.run(WEB, previous) or previous.id == target.id

    def _smoke_test(self, service: str) -> None:
        version = self._replicas.smoke_test(service, self._plan.target)
        self._progress.say(f"     {service} answers as version {version}")

    def _shift(self, configuration: str) -> None:
        """Send the candidate its share, and analyse how it answers."""
        self._nginx.apply(configuration)
        if not self._plan.watch_seconds:
            return
        if not self._prometheus.running:
            self._progress.say("     not watched: Prometheus is not running")
            return
        counted = self._analysis.watch(
            self._plan.watch_seconds,
            insist=self._plan.strategy == "canary",
            check=lambda: self._replicas.check(NEXT),
            show=self._progress.transient,
        )
        self._progress.say(f"     it answered {counted}")

    def _cut_over(self) -> None:
        """From here on an error of the new version is not retried on the old one, which is about to
        be renewed."""
        self._nginx.apply(nginx.cut_over(self._addresses(NEXT), retry_errors=False))
        self._nginx.wait_for_old_workers()
        self._replicas.check(NEXT)

    def _renew(self, image: Image) -> None:
        env_file.set_value(self._settings, "WEB_IMAGE", image.reference)
        self._replicas.start(WEB, image)

    def _promote(self) -> None:
        self._nginx.apply(nginx.promote(self._addresses(WEB), self._addresses(NEXT)))
        self._nginx.wait_for_old_workers()

    def _stop(self) -> None:
        if self._nginx.current() != nginx.stable():
            self._nginx.apply(nginx.stable())
        self._replicas.stop_next()

    def _addresses(self, service: str) -> list[str]:
        return self._nginx.addresses(self._docker.running(service))
