"""The steps that put a version into service: `--dry-run` prints them, a deploy takes them."""

from dataclasses import dataclass
from enum import Enum, auto

from .canary_analysis import Limits
from .docker_client import Image

CANARY_PERCENTS = (10, 50)


class Action(Enum):
    START = auto()
    SMOKE_TEST = auto()
    PUBLISH = auto()
    SPLIT = auto()
    SWITCH = auto()
    CUT_OVER = auto()
    RENEW = auto()
    PROMOTE = auto()
    STOP = auto()


@dataclass(frozen=True)
class Step:
    action: Action
    text: str
    percent: int = 0
    """SPLIT: of the requests that the new version gets."""


@dataclass(frozen=True)
class Plan:  # pylint: disable=too-many-instance-attributes
    """Everything that decides how a deploy goes."""

    previous: Image
    target: Image
    kind: str
    """deploy or rollback"""
    strategy: str
    """blue-green or canary"""
    replicas: int
    watch_seconds: float
    """How long each shift of traffic is watched; 0: not at all."""
    health_seconds: float
    """How long the new replicas may take to become healthy."""
    limits: Limits

    def steps(self) -> list[Step]:
        replicas = "1 replica" if self.replicas == 1 else f"{self.replicas} replicas"
        watch = ""
        if self.watch_seconds:
            watch = (
                f" and watch it for {self.watch_seconds:g} s (at most"
                f" {self.limits.error_ratio:.1%} errors, p99 {self.limits.p99_ms:g} ms)"
            )
        start = (
            f"start {replicas} of the new version beside the old ones, and wait until they are"
            f" healthy (at most {self.health_seconds:g} s)"
        )
        split = []
        if self.strategy == "canary":
            first, second = CANARY_PERCENTS
            text = f"send it {first} % of the requests, POST and PATCH excepted,{watch}"
            split = [
                Step(Action.SPLIT, text, first),
                Step(Action.SPLIT, f"send it {second} % of the requests{watch}", second),
            ]
        return [
            Step(Action.START, start),
            Step(Action.SMOKE_TEST, "smoke-test each of them directly"),
            Step(Action.PUBLISH, "copy its static files to where nginx serves them"),
            *split,
            Step(Action.SWITCH, f"send it all requests{watch}"),
            Step(Action.CUT_OVER, "wait until nothing is sent to the old version any more"),
            Step(Action.RENEW, "renew the old replicas with the new version, and smoke-test them"),
            Step(Action.PROMOTE, "send all requests to those, and wait until none goes elsewhere"),
            Step(Action.STOP, "stop the replicas that bridged the change"),
        ]
