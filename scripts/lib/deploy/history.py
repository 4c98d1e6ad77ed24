"""What the history's lines tell: who deployed what and when, and which version was before."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from .images import Image

IN_SERVICE, ROLLED_BACK, FAILED = "in service", "rolled back", "failed"
# Images that stay here for --rollback.
VERSIONS_KEPT = 6


@dataclass(frozen=True)
class Deploy:  # pylint: disable=too-many-instance-attributes
    """One deploy, as the history tells it."""

    id: str
    at: str
    who: str
    kind: str
    """deploy or rollback"""
    strategy: str
    before: Image
    """What was in service."""
    to: Image
    outcome: str = ""
    """IN_SERVICE, ROLLED_BACK or FAILED; empty while it runs, and for ever if it was cut off"""
    ended: str = ""
    reason: str = ""

    @property
    def unfinished(self) -> bool:
        return self.outcome in ("", FAILED)

    def __str__(self) -> str:
        images = " -> ".join(f"{one.version} {one.reference}" for one in (self.before, self.to))
        how = self.outcome or "cut off, or still under way"
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.at}  {self.who}  {self.kind} ({self.strategy})  {images}  {how}{reason}"


def parse(lines: Iterable[str]) -> list[Deploy]:
    """The deploys that the history's lines tell of, oldest first."""
    deploys: dict[str, Deploy] = {}
    for line in lines:
        try:
            entry: dict[str, Any] = json.loads(line)
        except ValueError:
            continue  # the last line of an engine that lost power
        if entry.pop("event") == "begun":
            entry |= {name: Image(**entry[name]) for name in ("before", "to")}
            deploys[entry["id"]] = Deploy(**entry)
        elif entry["id"] in deploys:
            deploys[entry["id"]] = replace(deploys[entry["id"]], **entry)
    return list(deploys.values())


def version_before(deploys: Iterable[Deploy], running: str) -> Image | None:
    """The image that was in service before the running one: two rollbacks go back two versions.

    Args:
        running: ID of the image that is in service.
    """
    versions: list[Image] = []
    for deploy in deploys:
        if deploy.outcome != IN_SERVICE:
            continue
        if not versions or versions[-1].id != deploy.before.id:
            versions.append(deploy.before)
        if deploy.kind == "rollback":
            while len(versions) > 1 and versions[-1].id != deploy.to.id:
                versions.pop()
        if versions[-1].id != deploy.to.id:
            versions.append(deploy.to)
    if versions and versions[-1].id == running:
        versions.pop()
    return versions[-1] if versions else None


def outdated(deploys: Iterable[Deploy], *, keep: str) -> list[str]:
    """Names of images that no rollback will need: all but the last few versions."""
    names = [name for deploy in deploys for name in (deploy.before.reference, deploy.to.reference)]
    newest_first = list(dict.fromkeys([keep, *reversed(names)]))
    return newest_first[VERSIONS_KEPT:]
