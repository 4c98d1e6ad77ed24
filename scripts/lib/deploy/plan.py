"""In which steps a version is put into service: what `--dry-run` prints, and a deploy does."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from .gate import Limits
from .images import Image

CANARY_PERCENTS = (10, 50)


class Action(Enum):
    START = auto()
    SMOKE_TEST = auto()
    PUBLISH = auto()
    SHARE = auto()
    SWITCH = auto()
    HAND_OVER = auto()
    RENEW = auto()
    GIVE_BACK = auto()
    STOP = auto()


@dataclass(frozen=True)
class Step:
    action: Action
    text: str
    percent: int = 0
    """SHARE: of the requests that the new version gets."""


@dataclass(frozen=True)
class Plan:  # pylint: disable=too-many-instance-attributes
    """All that decides how a deploy goes."""

    before: Image
    to: Image
    kind: str
    """deploy or rollback"""
    strategy: str
    """blue-green or canary"""
    replicas: int
    watch_seconds: float
    """How long Prometheus is watched after each shift of traffic; 0: not at all."""
    health_seconds: float
    limits: Limits

    def steps(self) -> list[Step]:
        return list(self._steps())

    def _steps(self) -> Iterator[Step]:
        replicas = "1 replica" if self.replicas == 1 else f"{self.replicas} replicas"
        yield Step(
            Action.START,
            f"start {replicas} of the new version beside the old ones, and wait until they are"
            f" healthy (at most {self.health_seconds:g} s)",
        )
        yield Step(Action.SMOKE_TEST, "smoke-test each of them directly")
        yield Step(Action.PUBLISH, "copy its static files to where nginx serves them")
        if self.strategy == "canary":
            for percent in CANARY_PERCENTS:
                writes = "" if percent > CANARY_PERCENTS[0] else ", POST and PATCH excepted,"
                yield Step(
                    Action.SHARE,
                    f"send it {percent} % of the requests{writes}{self._watch()}",
                    percent,
                )
        yield Step(Action.SWITCH, f"send it all requests{self._watch()}")
        yield Step(Action.HAND_OVER, "wait until nothing is sent to the old version any more")
        yield Step(Action.RENEW, "renew the old replicas with the new version, and smoke-test them")
        yield Step(
            Action.GIVE_BACK, "send all requests to those, and wait until none goes elsewhere"
        )
        yield Step(Action.STOP, "stop the replicas that bridged the change")

    def _watch(self) -> str:
        if not self.watch_seconds:
            return ""
        limits = self.limits
        return (
            f" and watch it for {self.watch_seconds:g} s (at most {limits.error_ratio:.1%} errors,"
            f" p99 {limits.p99_ms:g} ms)"
        )
