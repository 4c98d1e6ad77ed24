#!/usr/bin/env python3
"""Writes .github/CODEOWNERS: who has to agree to a change of what."""

import re
from pathlib import Path

import runner
from runner import Problem

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(".github/CODEOWNERS")
# GitHub reads the list from the top and keeps the last match, so the special cases come last.
OWNED = {
    "*": "Everything",
    "/.github/": "What runs with this repository's rights",
    "/scripts/ci/": "",
    "/scripts/deploy.sh": "",
    "/docker/": "What is shipped, and where it runs",
    "/infrastructure/": "",
    "/requirements*": "What is trusted without being read",
}
OWNER = re.compile(r"@[A-Za-z0-9][A-Za-z0-9-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")


def text(owners: list[str]) -> str:
    lines = ["# Who has to agree to a change of what. Written by scripts/ci/codeowners.py."]
    for pattern, comment in OWNED.items():
        if comment:
            lines += ["", f"# {comment}"]
        lines.append(f"{pattern} {' '.join(owners)}")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = runner.parser(__doc__, "print it, write nothing")
    parser.add_argument("owners", nargs="+", metavar="OWNER", help="@user or @organisation/team")
    parser.add_argument("--folder", type=Path, default=ROOT, help="default: this repository")
    arguments = parser.parse_args()
    for owner in arguments.owners:
        if not OWNER.fullmatch(owner):
            raise Problem(f"{owner!r} is no GitHub user or team, e.g. @octocat or @octo-org/web")
    if arguments.dry_run:
        print(text(arguments.owners), end="")
    else:
        (arguments.folder / FILE).write_text(text(arguments.owners), encoding="utf-8")
    return 0


if __name__ == "__main__":
    runner.run(main)
