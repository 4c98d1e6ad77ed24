"""scripts/deploy.sh: from the command line to the outcome."""

import getpass
import os
import secrets
import socket
import sys

from . import Problem, building, history, images, journal
from .engine import Engine
from .gate import Prometheus
from .history import Deploy
from .images import Image
from .interruption import Interrupted, Interruption
from .journal import Journal
from .options import Options, parse
from .plan import Plan
from .progress import Progress
from .replicas import WEB
from .rollout import Parts, Rollout

IN_SERVICE, NOT_IN_SERVICE, STUCK = 0, 1, 3


class Session:
    """One run of the script on one engine."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.progress = Progress()
        self.engine = Engine(context=options.context, env_file=options.env_file)
        config = self.engine.connect()
        self.replicas = int(config["services"][WEB].get("deploy", {}).get("replicas", 1))
        running = self.engine.containers(WEB)
        if not running:
            raise Problem("nothing is in service yet: start the stack first (./scripts/setup.sh)")
        self.running = running[0]
        if options.strategy == "canary" and not Prometheus(self.engine).running:
            raise Problem("a canary is judged by Prometheus, and that is not running")

    def run(self) -> int:
        if self.options.action == "history":
            for deploy in journal.read(self.engine, self.running.image):
                print(deploy)
            return IN_SERVICE
        if self.options.dry_run:
            self._print_plan()
            return IN_SERVICE
        with journal.held(self.engine, self.running.image, who()) as held:
            last = held.deploys[-1] if held.deploys else None
            if last and last.unfinished:
                self._recover(held, last)
            elif self.options.action == "recover":
                self.progress.say("nothing to recover from: the last deploy has ended as it should")
            if self.options.action == "recover":
                return IN_SERVICE
            return self._deploy(held, self._plan(held.deploys))

    def _plan(self, deploys: list[Deploy]) -> Plan:
        """Whatever the target needs first (pulling, building) is done here."""
        self.running = self.engine.containers(WEB)[0]
        before = images.pinned(self.engine, self.running.reference, self.running.image)
        return self._plan_for(before, self._target(deploys))

    def _plan_for(self, before: Image, to: Image) -> Plan:
        return Plan(
            before=before,
            to=to,
            kind=self.options.action,
            strategy=self.options.strategy,
            replicas=self.replicas,
            watch_seconds=self.options.watch_seconds,
            health_seconds=self.options.health_seconds,
            limits=self.options.limits,
        )

    def _target(self, deploys: list[Deploy]) -> Image:
        if self.options.action == "rollback":
            former = history.version_before(deploys, self.running.image)
            if former is None:
                raise Problem("the history knows no version before this one: give --image")
            return images.pinned(self.engine, former.reference)
        if self.options.image:
            return images.find(self.engine, self.options.image)
        reference, _commit = building.name_for_build()
        self.progress.say(f"building {reference}")
        return building.build(self.engine)

    def _deploy(self, held: Journal, plan: Plan) -> int:
        deploy = Deploy(
            id=secrets.token_hex(8),
            at=journal.now(),
            who=held.who,
            kind=plan.kind,
            strategy=plan.strategy,
            before=plan.before,
            to=plan.to,
        )
        self.progress.say(f"in service: {plan.before}")
        self.progress.say(f"to come:    {plan.to}")
        rollout = self._rollout(plan)
        interruption = Interruption(self.engine, self.progress)
        held.begun(deploy)
        with interruption.handled():
            try:
                rollout.run()
            except (Problem, Interrupted) as reason:
                interruption.ignore_from_now_on()
                return self._restore(held, deploy, rollout, str(reason))
            interruption.ignore_from_now_on()
            held.ended(deploy.id, history.IN_SERVICE)
        images.forget(self.engine, history.outdated(held.deploys, keep=plan.to.reference))
        self.progress.good(f"in service: {plan.to}")
        return IN_SERVICE

    def _rollout(self, plan: Plan) -> Rollout:
        parts = Parts.of(self.engine, plan)
        return Rollout(plan, parts, self.options.settings, self.progress)

    def _restore(self, held: Journal, deploy: Deploy, rollout: Rollout, reason: str) -> int:
        self.progress.bad(f"{reason}: rolling back")
        try:
            restored = rollout.restore()
        except Problem as problem:
            held.ended(deploy.id, history.FAILED, f"{reason}; then: {problem}")
            self.progress.bad(f"{problem}: what serves goes on serving; see to that,")
            self.progress.bad("then run ./scripts/deploy.sh --recover")
            return STUCK
        held.ended(deploy.id, history.ROLLED_BACK if restored else history.IN_SERVICE, reason)
        if restored:
            self.progress.bad(f"rolled back: {deploy.before.reference} is in service")
            return NOT_IN_SERVICE
        self.progress.bad(f"no way back without an outage: {deploy.to.reference} is in service")
        return STUCK

    def _recover(self, held: Journal, last: Deploy) -> None:
        self.progress.say(f"the deploy of {last.at} by {last.who} was cut off: putting things back")
        plan = self._plan_for(last.before, last.to)
        rollout = self._rollout(plan)
        if self._restore(held, last, rollout, "cut off") == STUCK:
            raise Problem("the recovery is not complete")

    def _print_plan(self) -> None:
        running = self.running
        before = images.described(self.engine, running.reference, running.image)
        if self.options.action == "rollback":
            to = self._target(journal.read(self.engine, running.image))
        else:
            name = self.options.image or building.name_for_build()[0]
            to = images.described(self.engine, name, built=self.options.image is None)
        plan = self._plan_for(before, to)
        print(f"in service: {before}, {self.replicas} replicas, project {self.engine.project}")
        print(f"to come:    {to}, {plan.strategy}")
        for number, step in enumerate(plan.steps(), start=1):
            print(f"{number:4}. {step.text}")
        print("If a step fails, and at Ctrl-C, everything is put back. Nothing has been changed.")


def who() -> str:
    """Whoever is responsible: the person behind a CI job or behind sudo, else the user."""
    name = os.environ.get("GITHUB_ACTOR") or os.environ.get("SUDO_USER") or getpass.getuser()
    return f"{name}@{socket.gethostname()}"


def main() -> int:
    options = parse(sys.argv[1:])
    if "WEB_IMAGE" in os.environ:
        raise Problem(
            "WEB_IMAGE is set in the environment, where it would outrank what a deploy writes to"
            " infrastructure/.env: unset it, and use --image"
        )
    return Session(options).run()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Problem as problem_:
        sys.exit(f"error: {problem_}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted before anything was changed")
