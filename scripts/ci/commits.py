"""Conventional commits (conventionalcommits.org, 1.0.0): what a change means for the version."""

import re
from dataclasses import dataclass

from runner import Problem

# The type, and the CHANGELOG heading its changes stand under; "" keeps them out of it.
HEADINGS = {
    "feat": "Added",
    "fix": "Fixed",
    "perf": "Changed",
    "refactor": "Changed",
    "revert": "Removed",
    "security": "Security",
    "build": "",
    "chore": "",
    "ci": "",
    "docs": "",
    "style": "",
    "test": "",
}
SUBJECT = re.compile(
    r"^(?P<type>[a-z]+)(?:\((?P<scope>[^()\s]+)\))?(?P<breaking>!)?: (?P<text>\S.*)$"
)
BREAKING = re.compile(r"^BREAKING[ -]CHANGE: ", re.MULTILINE)


@dataclass(frozen=True)
class Commit:
    """One change. A type of "" means the subject is not a conventional one."""

    subject: str
    type: str
    scope: str
    text: str
    breaking: bool


def parse(subject: str, body: str = "") -> Commit:
    found = SUBJECT.match(subject)
    if not found or found["type"] not in HEADINGS:
        return Commit(subject, "", "", subject, bool(BREAKING.search(body)))
    breaking = bool(found["breaking"] or BREAKING.search(body))
    return Commit(subject, found["type"], found["scope"] or "", found["text"], breaking)


def check(title: str) -> None:
    """Raise Problem, with an example, unless the title is a conventional commit's first line."""
    if not parse(title).type:
        types = ", ".join(HEADINGS)
        raise Problem(
            f"the title {title!r} is not of the form 'type(scope): what changes', e.g."
            f" 'fix(cache): keep the TTL of a refreshed entry'; types: {types}"
        )


def bump(changes: list[Commit]) -> str:
    """The part of the version that must grow: major, minor or patch."""
    if any(change.breaking for change in changes):
        return "major"
    return "minor" if any(change.type == "feat" for change in changes) else "patch"


def bumped(version: str, part: str) -> str:
    """The version after; before 1.0.0 a breaking change raises the minor, as semver allows."""
    major, minor, patch = (int(number) for number in version.split("."))
    if part == "major" and major > 0:
        return f"{major + 1}.0.0"
    if part == "patch":
        return f"{major}.{minor}.{patch + 1}"
    return f"{major}.{minor + 1}.0"


def entries(changes: list[Commit]) -> list[tuple[str, str]]:
    """(heading, line) for the CHANGELOG, oldest first; what has no type stands under Changed."""
    lines = []
    for change in reversed(changes):
        heading = HEADINGS.get(change.type, "Changed")
        if change.breaking:
            heading = heading or "Changed"
        if heading:
            scope = f"**{change.scope}:** " if change.scope else ""
            breaking = "**Breaking:** " if change.breaking else ""
            text = change.text[0].upper() + change.text[1:]
            lines.append((heading, f"- {breaking}{scope}{text}"))
    return lines
