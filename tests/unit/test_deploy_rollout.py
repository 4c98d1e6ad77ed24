"""Steps and the way back, on a stack that only remembers what it was told; the history of deploys.

The rule that every test of a rollout guards: `web` is renewed only while all requests go to the
candidate.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from command_error import CommandError
from deploy.canary_analysis import Limits
from deploy.docker_client import Image
from deploy.history import FAILED, IN_SERVICE, ROLLED_BACK, VERSIONS_KEPT, Deploy, outdated, parse
from deploy.history import previous_version
from deploy.nginx import WEB_ONLY, Traffic
from deploy.rollout import NEXT, WEB, Plan, Rollout

OLD = Image("app:old-000000000000", "sha256:old", "1.0", "unknown")
NEW = Image("app:new-111111111111", "sha256:new", "2.0", "unknown")


@dataclass
class Stack:
    images: dict[str, Image] = field(default_factory=lambda: {WEB: OLD})
    traffic: Traffic = WEB_ONLY
    log: list[str] = field(default_factory=list)
    fails_at: str = ""

    # nginx
    def apply(self, traffic: Traffic) -> None:
        self._happens("apply")
        self.traffic = traffic

    def serves_web_only(self) -> bool:
        return not self.traffic.percent

    # replicas
    def start(self, service: str, image: Image) -> None:
        if service == WEB:
            assert self.traffic == Traffic(100), "requests went to what is being renewed"
        self.images[service] = image
        self._happens(f"start {service} {image.version}")

    def run(self, service: str, image: Image) -> bool:
        return self.images.get(service) == image

    healthy = run

    def check(self, service: str) -> None:
        self._happens(f"check {service}")

    def smoke_test(self, service: str, image: Image) -> str:
        self._happens(f"smoke-test {service}")
        return image.version

    def publish(self, _image: Image) -> None:
        self._happens("publish")

    def stop_next(self) -> None:
        assert self.traffic == WEB_ONLY, "requests went to what is being stopped"
        self._happens("stop web-next")
        self.images.pop(NEXT, None)

    def _happens(self, what: str) -> None:
        self.log.append(what)
        if what == self.fails_at:
            self.fails_at = ""
            raise CommandError(f"{what} failed")


def rollout(stack: Stack, folder: Path) -> Rollout:
    plan = Plan(OLD, NEW, "blue-green", 1, 0, 1, Limits(0.01, 1000, 20), folder / ".env")
    played: Any = stack
    return Rollout(plan, played, played, played)


def test_a_deploy_ends_with_the_new_version_in_the_place_of_the_old_one(tmp_path: Path) -> None:
    stack = Stack()
    rollout(stack, tmp_path).run()
    assert stack.images == {WEB: NEW}
    assert stack.traffic == WEB_ONLY
    assert (tmp_path / ".env").read_text() == f"WEB_IMAGE={NEW.reference}\n"


@pytest.mark.parametrize(
    "step",
    ["start web-next 2.0", "smoke-test web-next", "publish", "apply"]
    + ["check web-next", "start web 2.0", "smoke-test web"],
)
def test_whichever_step_fails_the_old_version_serves_again(step: str, tmp_path: Path) -> None:
    stack = Stack(fails_at=step)
    deploy = rollout(stack, tmp_path)

    with pytest.raises(CommandError, match=step):
        deploy.run()
    restored = deploy.restore()

    assert restored
    assert stack.images == {WEB: OLD}
    assert stack.traffic == WEB_ONLY
    if step in ("start web-next 2.0", "smoke-test web-next"):  # no request was shifted
        assert not [entry for entry in stack.log if entry.startswith("start web ")]
        assert not (tmp_path / ".env").exists()


def test_what_was_renewed_already_goes_back_while_the_candidate_serves(tmp_path: Path) -> None:
    stack = Stack({WEB: NEW, NEXT: NEW}, Traffic(100))
    assert rollout(stack, tmp_path).restore()
    assert stack.images == {WEB: OLD}
    assert (tmp_path / ".env").read_text() == f"WEB_IMAGE={OLD.reference}\n"


@pytest.mark.parametrize(
    "stack",
    [
        Stack({WEB: NEW}, Traffic(100)),  # without a candidate to bridge the way back
        Stack({WEB: NEW, NEXT: NEW}),  # cut off at its last step: it is completed
    ],
)
def test_sometimes_the_way_back_is_not_taken(stack: Stack, tmp_path: Path) -> None:
    assert not rollout(stack, tmp_path).restore()
    assert stack.images == {WEB: NEW}
    assert stack.traffic == WEB_ONLY


def image(name: str) -> Image:
    return Image(f"app:{name}", f"sha256:{name}", name, "unknown")


def deploy(before: str, to: str, *, kind: str = "deploy", outcome: str = IN_SERVICE) -> Deploy:
    return Deploy(
        f"{before}{to}{kind}", "at", "who", kind, "canary", image(before), image(to), outcome
    )


def rollback(before: str, to: str) -> Deploy:
    return deploy(before, to, kind="rollback")


@pytest.mark.parametrize(
    ("deploys", "running", "expected"),
    [
        ([deploy("a", "b"), deploy("b", "c")], "c", "b"),
        # Two rollbacks go back two versions.
        ([deploy("a", "b"), deploy("b", "c"), rollback("c", "b")], "b", "a"),
        # A version deployed after a rollback follows the one that was gone back to.
        ([deploy("a", "b"), rollback("b", "a"), deploy("a", "c")], "c", "a"),
        # A deploy that was rolled back never was in service.
        ([deploy("a", "b"), deploy("b", "c", outcome=ROLLED_BACK)], "b", "a"),
        # Started by hand: the last one that was deployed.
        ([deploy("a", "b")], "by-hand", "b"),
        # Renewing a version does not make another one.
        ([deploy("a", "b"), deploy("b", "b")], "b", "a"),
        ([deploy("a", "a")], "a", None),
        ([], "a", None),
    ],
)
def test_a_rollback_goes_to_the_version_before_the_running_one(
    deploys: list[Deploy], running: str, expected: str | None
) -> None:
    found = previous_version(deploys, f"sha256:{running}")
    assert found == (image(expected) if expected else None)


def test_a_deploy_is_two_lines_and_the_second_one_ends_it() -> None:
    made = deploy("a", "b", outcome="")
    end = replace(made, outcome=ROLLED_BACK, reason="why")
    lines = [json.dumps(asdict(made)), json.dumps(asdict(end))]

    (cut_off,), (whole,) = parse(lines[:1]), parse(lines)

    assert cut_off == made and cut_off.unfinished
    assert not whole.unfinished
    assert "a app:a -> b app:b  rolled back: why" in str(whole)


def test_a_line_that_cannot_be_read_does_not_hide_the_rest() -> None:
    lines = [json.dumps(asdict(deploy("a", "b"))), '{"id": "ab', '{"event": "begun", "id": "1"}']
    assert len(parse(lines)) == 1


def test_a_deploy_that_could_not_put_things_back_waits_for_recovery() -> None:
    assert deploy("a", "b", outcome=FAILED).unfinished


def test_only_images_that_no_rollback_will_need_are_outdated() -> None:
    deploys = [deploy(str(number), str(number + 1)) for number in range(VERSIONS_KEPT + 2)]
    newest = f"app:{VERSIONS_KEPT + 2}"
    assert not outdated(deploys[:2], keep="app:2")
    assert newest not in outdated(deploys, keep=newest)
    assert outdated(deploys, keep=newest) == ["app:2", "app:1", "app:0"]
