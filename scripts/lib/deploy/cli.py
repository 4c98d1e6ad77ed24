"""scripts/deploy.sh: from the command line to the outcome."""

import argparse
import getpass
import math
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import command_error
from command_error import CommandError

from . import history
from .canary_analysis import Limits, Prometheus
from .docker_client import ROOT, DockerClient, Image, name_for_build
from .history import Deploy, History
from .nginx import Nginx
from .rollout import WEB, Plan, Replicas, Rollout, say

USAGE = """\
Puts a version of the service into service without dropping a request.

  ./scripts/deploy.sh                              build this clone and deploy that
  ./scripts/deploy.sh --image devops-starter:1.4.0 deploy that image
  ./scripts/deploy.sh --image ghcr.io/you/app@sha256:… --strategy canary
  ./scripts/deploy.sh --rollback                   back to the version before

The new version starts beside the old one and is tested before it gets requests. A failure, or
Ctrl-C, puts the old one back. DOCKER_HOST or the context names the engine; docs/DEPLOYMENT.md has
the details."""

EPILOG = """\
exit status: 0 in service; 1 refused or rolled back, the old version serves; 2 wrong usage;
3 neither could be completed: the last lines say what is left to do"""

ACTIONS = {
    "rollback": "go back to the version that was in service before",
    "history": "print who deployed what, when, and how it ended",
    "recover": "clean up after a deploy that was cut off",
}
WATCH_SECONDS = {"blue-green": 20.0, "canary": 60.0}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A process that cannot start has ended by then.
WORKER_SECONDS = 3.0
DONE, NOT_IN_SERVICE, STUCK = 0, 1, 3


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"error: {message}; ./scripts/deploy.sh --help lists the options\n")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the arguments; a wrong one ends the program with one line and status 2."""
    parser = Parser(
        prog="./scripts/deploy.sh",
        description=USAGE,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add, add_choice = parser.add_argument, parser.add_mutually_exclusive_group().add_argument
    text = "name:tag or name@sha256:…; without it the clone is built"
    add_choice("--image", metavar="REF", help=text)
    for name, text in ACTIONS.items():
        add_choice(f"--{name}", action="store_const", dest="action", const=name, help=text)
    add("--strategy", choices=WATCH_SECONDS, help="at once (default), or by 10, 50 and 100 %%")
    add("--dry-run", action="store_true", help="print the plan and change nothing")
    add("--context", metavar="NAME", help="the Docker context to deploy to")
    add("--env-file", metavar="FILE", type=Path, help="settings other than infrastructure/.env")
    add("--step-seconds", metavar="N", type=number(1), help="watch each step (canary 60, else 20)")
    add("--health-seconds", metavar="N", type=number(1), default=120.0, help="to start (120)")
    usual = Limits.usual()
    for name, type_, default, text in (
        ("--max-error-ratio", number(0, 1), usual.error_ratio, "0 to 1"),
        ("--max-p99-ms", number(1), usual.p99_ms, "milliseconds"),
        ("--min-requests", number(0), usual.requests, "to judge by"),
    ):
        add(name, metavar="N", type=type_, default=default, help=f"{text} ({default:g})")
    given = parser.parse_args(arguments)
    if given.action and given.strategy:
        parser.error(f"--strategy has no meaning with --{given.action}")
    if given.dry_run and given.action in ("history", "recover"):
        parser.error(f"--dry-run has no meaning with --{given.action}")
    if given.env_file and not given.env_file.is_file():
        parser.error(f"--env-file: there is no file {given.env_file}")
    given.strategy = given.strategy or "blue-green"
    given.watch_seconds = given.step_seconds or WATCH_SECONDS[given.strategy]
    if given.action == "rollback":
        # A version that has been in service is not judged again: a rollback that is to end an
        # outage must not be refused for it.
        given.watch_seconds = 0.0
    given.env_file = given.env_file.resolve() if given.env_file else None
    given.settings = given.env_file or ROOT / "infrastructure" / ".env"
    return given


def number(least: float, most: float = math.inf) -> Callable[[str], float]:
    """A type for argparse: a number within bounds."""

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (least <= value <= most and math.isfinite(value)):
            limit = "" if most == math.inf else f" to {most:g}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least:g}{limit}")
        return value

    return convert


class Session:
    """One run of the script on one engine."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.docker = DockerClient(context=given.context, env_file=given.env_file)
        config = self.docker.connect()
        self.replicas = int(config["services"][WEB].get("deploy", {}).get("replicas", 1))
        containers = self.docker.containers(WEB)
        if not containers:
            raise CommandError("nothing is in service: start the stack first (./scripts/setup.sh)")
        self.running = containers[0]
        if given.strategy == "canary" and not Prometheus(self.docker).running:
            raise CommandError("a canary is judged by Prometheus, and that is not running")

    def run(self) -> int:
        if self.given.action == "history":
            for deploy in history.read(self.docker, self.running.image):
                print(deploy)
            return DONE
        if self.given.dry_run:
            self._print_plan()
            return DONE
        with history.lock(self.docker, self.running.image, who()) as held:
            last = held.deploys[-1] if held.deploys else None
            if last and last.unfinished:
                self._recover(held, last)
            elif self.given.action == "recover":
                say("nothing to recover: the last deploy has ended as it should")
            return DONE if self.given.action == "recover" else self._deploy(held)

    def _deploy(self, held: History) -> int:
        running = self.docker.containers(WEB)[0]
        previous = self.docker.image(running.reference, running.image)
        target = self._target(held.deploys, running.image)
        kind, strategy = self.given.action or "deploy", self.given.strategy
        identity = (secrets.token_hex(8), history.now(), who())
        deploy = Deploy(*identity, kind, strategy, previous, target)
        say(f"in service: {previous}")
        say(f"to come:    {target}")
        rollout = self._rollout(previous, target)
        held.write(deploy)
        for signal_ in SIGNALS:
            signal.signal(signal_, self._interrupt)
        try:
            rollout.run()
        except (CommandError, KeyboardInterrupt) as reason:
            self._ignore_signals()
            return self._restore(held, deploy, rollout, str(reason))
        self._ignore_signals()
        held.write(replace(deploy, outcome=history.IN_SERVICE))
        self.docker.forget_images(history.outdated(held.deploys, keep=target.reference))
        say(f"in service: {target}")
        return DONE if self._renew_workers(target) else STUCK

    def _renew_workers(self, target: Image) -> bool:
        """Give the new version to what else runs the service's image (docs/BACKGROUND-WORK.md).

        Returns:
            Whether all of them run after a moment.
        """
        failed = 0
        for service in self.docker.services_with_label("deploy.renew"):
            command = ("up", "--detach", "--no-deps", "--no-build", service)
            self.docker.compose(*command, WEB_IMAGE=target.reference)
            time.sleep(WORKER_SECONDS)
            for one in self.docker.containers(service):
                if one.status == "running" and not one.restarts:
                    say(f"{one.name} runs it, too")
                else:
                    failed += 1
                    say(f"{one.name} does not start with it: {self.docker.last_log_line(one)}")
        return not failed

    def _target(self, deploys: list[Deploy], running: str, *, change: bool = True) -> Image:
        """The image to be put into service.

        Args:
            change: pull it or build it first; without, only describe it.
        """
        if self.given.action == "rollback":
            image = history.previous_version(deploys, running)
            if image is None:
                raise CommandError("the history has no version before this one: give --image")
            return self.docker.image(image.reference, change=change)
        if self.given.image:
            return self.docker.find_image(self.given.image, change=change)
        name, version, commit = name_for_build()
        if not change:
            return Image(f"{name}, to be built", "", version, commit)
        say(f"building {name}")
        return self.docker.build_image()

    def _rollout(self, previous: Image, target: Image) -> Rollout:
        given = self.given
        plan = Plan(
            previous=previous,
            target=target,
            strategy=given.strategy,
            replicas=self.replicas,
            watch_seconds=given.watch_seconds,
            health_seconds=given.health_seconds,
            limits=Limits(given.max_error_ratio, given.max_p99_ms, int(given.min_requests)),
            settings=given.settings,
        )
        replicas = Replicas(self.docker, plan)
        return Rollout(plan, Nginx(self.docker), replicas, Prometheus(self.docker))

    def _interrupt(self, number_: int, _frame: object) -> None:
        self.docker.interrupted_by = signal.Signals(number_).name

    def _ignore_signals(self) -> None:
        self.docker.interrupted_by = ""
        for signal_ in SIGNALS:
            signal.signal(signal_, signal.SIG_IGN)

    def _restore(self, held: History, deploy: Deploy, rollout: Rollout, reason: str) -> int:
        say(f"{reason}: rolling back")
        try:
            restored = rollout.restore()
        except CommandError as error:
            held.write(replace(deploy, outcome=history.FAILED, reason=f"{reason}; then: {error}"))
            say(f"{error}: the running replicas go on serving. Correct that,")
            say("then run ./scripts/deploy.sh --recover")
            return STUCK
        outcome = history.ROLLED_BACK if restored else history.IN_SERVICE
        held.write(replace(deploy, outcome=outcome, reason=reason))
        if restored:
            say(f"rolled back: {deploy.previous.reference} is in service")
            return NOT_IN_SERVICE
        say(f"no way back without an outage: {deploy.target.reference} is in service")
        return STUCK

    def _recover(self, held: History, last: Deploy) -> None:
        say(f"the deploy of {last.at} by {last.who} was cut off: putting things back")
        rollout = self._rollout(last.previous, last.target)
        if self._restore(held, last, rollout, "cut off") == STUCK:
            raise CommandError("the recovery is not complete")

    def _print_plan(self) -> None:
        running, rollback = self.running, self.given.action == "rollback"
        previous = self.docker.image(running.reference, running.image, change=False)
        deploys = history.read(self.docker, running.image) if rollback else []
        target = self._target(deploys, running.image, change=False)
        print(f"in service: {previous}, {self.replicas} replicas, project {self.docker.project}")
        print(f"to come:    {target}, {self.given.strategy}")
        for number_, (text, _take) in enumerate(self._rollout(previous, target).steps(), start=1):
            print(f"{number_:4}. {text}")
        print("If a step fails, and at Ctrl-C, everything is put back. Nothing has been changed.")


def who() -> str:
    """The person behind a CI job or behind sudo, else the user."""
    name = os.environ.get("GITHUB_ACTOR") or os.environ.get("SUDO_USER")
    try:
        name = name or getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


def main() -> int:
    given = parse(sys.argv[1:])
    if "WEB_IMAGE" in os.environ:
        raise CommandError(
            "WEB_IMAGE is set in the environment, where it has precedence over what a deploy writes"
            " to infrastructure/.env: unset it, and use --image"
        )
    return Session(given).run()


if __name__ == "__main__":
    sys.exit(command_error.run(main))
