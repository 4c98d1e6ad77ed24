"""Reads and writes CHANGELOG.md in the form of Keep a Changelog 1.1.0."""

import datetime
import re

from runner import Problem

# The order the format gives them.
HEADINGS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
UNRELEASED = "## [Unreleased]"


def section(text: str, version: str) -> str:
    """What stands under the heading of a version (or "Unreleased"), "" if nothing does."""
    pattern = rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|\Z)"
    found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def release(text: str, version: str, date: datetime.date, entries: list[tuple[str, str]]) -> str:
    """The text with what is unreleased, and the entries, moved under the heading of a version."""
    if UNRELEASED not in text:
        raise Problem(f"CHANGELOG.md has no heading {UNRELEASED}")
    if f"## [{version}]" in text:
        raise Problem(f"CHANGELOG.md already has a section [{version}]")
    body = "\n\n".join(part for part in (section(text, "Unreleased"), _written(entries)) if part)
    if not body:
        raise Problem(
            f"no change that users would notice: write what {version} brings under {UNRELEASED}"
        )
    before, rest = text.split(UNRELEASED, 1)
    following = re.search(r"^## \[", rest, re.MULTILINE)
    older = rest[following.start() :] if following else ""
    new = f"{before}{UNRELEASED}\n\n## [{version}] - {date.isoformat()}\n\n{body}\n"
    return f"{new}\n{older}" if older else new


def _written(entries: list[tuple[str, str]]) -> str:
    parts = []
    for heading in HEADINGS:
        lines = [line for at, line in entries if at == heading]
        if lines:
            parts.append(f"### {heading}\n\n" + "\n".join(lines))
    return "\n\n".join(parts)
