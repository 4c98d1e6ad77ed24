"""Takes the steps of a plan, and puts everything back when one of them fails."""

from dataclasses import dataclass
from pathlib import Path

from . import settings_file, traffic
from .engine import Engine
from .gate import Prometheus
from .plan import CANARY_PERCENTS, Action, Plan, Step
from .progress import Progress
from .replicas import NEXT, WEB, Replicas
from .watch import Watch


@dataclass(frozen=True)
class Parts:
    """What of the running stack a deploy deals with."""

    nginx: traffic.Nginx
    prometheus: Prometheus
    replicas: Replicas

    @classmethod
    def of(cls, engine: Engine, plan: Plan) -> "Parts":
        replicas = Replicas(engine, count=plan.replicas, health_seconds=plan.health_seconds)
        return cls(traffic.Nginx(engine), Prometheus(engine), replicas)


class Rollout:
    """One deploy on the running stack."""

    def __init__(self, plan: Plan, parts: Parts, settings: Path, progress: Progress) -> None:
        """Args:
        settings: the file whose WEB_IMAGE says what is in service.
        """
        self._plan = plan
        self._nginx, self._prometheus, self._replicas = (
            parts.nginx,
            parts.prometheus,
            parts.replicas,
        )
        self._settings = settings
        self._progress = progress
        self._watch = Watch(self._prometheus, self._replicas, plan.limits, progress)

    def run(self) -> None:
        """Take every step.

        Raises:
            Problem, Interrupted: a step failed; `restore` puts everything back.
        """
        methods = {
            Action.START: self._start,
            Action.SMOKE_TEST: self._smoke_test,
            Action.PUBLISH: self._publish,
            Action.SHARE: self._share,
            Action.SWITCH: self._switch,
            Action.HAND_OVER: self._hand_over,
            Action.RENEW: self._renew,
            Action.GIVE_BACK: self._give_back,
            Action.STOP: self._stop,
        }
        steps = self._plan.steps()
        for number, step in enumerate(steps, start=1):
            self._progress.step(number, len(steps), step.text)
            methods[step.action](step)

    def restore(self) -> bool:
        """Have the version before in service and no candidate, however far the deploy has come.

        Requests are never sent to replicas that are being renewed. Where that leaves no way back,
        because the candidate is gone and `web` has the new version already, that one stays.

        Returns:
            Whether the version before is in service.
        """
        before, to = self._plan.before, self._plan.to
        current = self._nginx.current()
        if current != traffic.stable():
            if not self._replicas.has(WEB, before) and self._replicas.serve(NEXT, to):
                self._hand_over()
                self._take_back()
            elif not self._replicas.has(WEB, before) and not self._replicas.serve(WEB, to):
                self._take_back()
            self._progress.say("     all requests go to web; waiting until none goes elsewhere")
            self._give_back()
        self._stop()
        return self._replicas.has(WEB, before) or before.id == to.id

    def _take_back(self) -> None:
        self._progress.say(f"     starting {self._plan.before} again")
        settings_file.set_image(self._settings, self._plan.before.reference)
        self._replicas.start(WEB, self._plan.before)

    def _start(self, _step: Step) -> None:
        self._replicas.start(NEXT, self._plan.to)

    def _smoke_test(self, _step: Step | None = None, service: str = NEXT) -> None:
        script = (Path(__file__).parent / "smoke.py").read_text(encoding="utf-8")
        version = self._replicas.smoke_test(service, self._plan.to, script)
        self._progress.say(f"     {service} answers as version {version}")

    def _publish(self, _step: Step) -> None:
        self._replicas.publish(self._plan.to)

    def _share(self, step: Step) -> None:
        web, candidate = self._addresses(WEB), self._addresses(NEXT)
        writes = step.percent > CANARY_PERCENTS[0]
        self._shift(traffic.shared(web, candidate, step.percent, writes=writes))

    def _switch(self, _step: Step) -> None:
        retry_errors = bool(self._plan.watch_seconds)
        self._shift(traffic.handed_over(self._addresses(NEXT), retry_errors=retry_errors))

    def _shift(self, configuration: str) -> None:
        """Send the candidate its share, and watch what becomes of it."""
        plan = self._plan
        if plan.watch_seconds and self._prometheus.running:
            self._nginx.direct(configuration)
            self._watch.run(plan.watch_seconds, insist=plan.strategy == "canary")
            return
        self._nginx.direct(configuration)
        if plan.watch_seconds:
            self._progress.say("     not watched: Prometheus is not running")

    def _hand_over(self, _step: Step | None = None) -> None:
        """From here on an error of the new version is not asked again of the old one, which is
        about to be renewed."""
        self._nginx.direct(traffic.handed_over(self._addresses(NEXT), retry_errors=False))
        self._nginx.wait_for_old_workers()
        self._replicas.check_alive(NEXT)

    def _renew(self, _step: Step) -> None:
        settings_file.set_image(self._settings, self._plan.to.reference)
        self._replicas.start(WEB, self._plan.to)
        self._smoke_test(service=WEB)

    def _give_back(self, _step: Step | None = None) -> None:
        self._nginx.direct(traffic.given_back(self._addresses(WEB), self._addresses(NEXT)))
        self._nginx.wait_for_old_workers()

    def _stop(self, _step: Step | None = None) -> None:
        if self._nginx.current() != traffic.stable():
            self._nginx.direct(traffic.stable())
        self._replicas.stop_next()

    def _addresses(self, service: str) -> list[str]:
        running = [one for one in self._replicas.of(service) if one.status == "running"]
        return self._nginx.addresses(running)
