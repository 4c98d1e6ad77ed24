"""Steps and the way back, on a stack that only remembers what it was told.

The rule that every test here guards: `web` is renewed only while all requests go to the candidate.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from command_error import CommandError
from deploy.canary_analysis import Limits
from deploy.docker_client import Image
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
