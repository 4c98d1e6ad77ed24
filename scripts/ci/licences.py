#!/usr/bin/env python3
"""Checks the licences of what is shipped: each package of requirements.txt needs an allowed one.

Reads what the packages say of themselves, so it runs where they are installed:
.venv/bin/python scripts/ci/licences.py
"""

import importlib.metadata
import re
from pathlib import Path
from typing import Any

import runner
from runner import Problem

with runner.environment():
    from license_expression import ExpressionError, get_spdx_licensing
    from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
# Licences that ask for no more than notice, and MPL, which reaches no further than its own files.
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MPL-2.0",
    "PSF-2.0",
    "Unlicense",
}
# Older packages have no SPDX expression; these are the words they use instead.
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# Said in words of their own; each was read in the package itself.
READ_BY_HAND = {"lupa": "MIT"}
PINNED = re.compile(r"^([A-Za-z0-9][^ \\\n]*(?: *;[^\\\n]*)?)", re.MULTILINE)


def required(text: str) -> list[str]:
    """The packages that a pinned requirements file asks for on this Python."""
    found = [Requirement(line.strip()) for line in PINNED.findall(text)]
    return sorted({r.name for r in found if r.marker is None or r.marker.evaluate()})


def licence(name: str) -> str:
    """An SPDX expression, or "" when the package names no licence that is known here."""
    if name in READ_BY_HAND:
        return READ_BY_HAND[name]
    metadata = importlib.metadata.metadata(name).json
    if metadata.get("license_expression"):
        return str(metadata["license_expression"])
    classifiers = [
        c.rpartition(" :: ")[2] for c in metadata.get("classifier", []) if "License" in c
    ]
    known = [CLASSIFIERS[c] for c in classifiers if c in CLASSIFIERS]
    if known and len(known) == len(classifiers):
        return " AND ".join(known)
    stated = str(metadata.get("license", "")).strip()
    return stated if stated in ALLOWED else ""


def is_allowed(expression: str) -> bool:
    """One side of an OR is enough, every side of an AND is needed."""
    try:
        tree = get_spdx_licensing().parse(expression)
    except ExpressionError:
        return False
    return tree is not None and _allowed(tree)


def _allowed(tree: Any) -> bool:
    if not tree.args:
        return str(tree.key) in ALLOWED
    parts = [_allowed(part) for part in tree.args]
    return any(parts) if tree.operator.strip() == "OR" else all(parts)


def main() -> int:
    parser = runner.parser(__doc__)
    parser.add_argument("--requirements", type=Path, default=ROOT / "requirements.txt")
    arguments = parser.parse_args()
    if arguments.dry_run:
        return 0
    try:
        names = required(arguments.requirements.read_text(encoding="utf-8"))
        found = {name: licence(name) for name in names}
    except OSError as error:
        raise Problem(f"{arguments.requirements}: {error.strerror}") from error
    except importlib.metadata.PackageNotFoundError as error:
        raise Problem(
            f"{error.name} is not installed here: run .venv/bin/python {__file__}"
        ) from error
    rows = [f"| {name} | {found[name] or 'none stated'} |" for name in names]
    runner.summarise(
        "\n".join(["## Licences", "", "| package | licence |", "| --- | --- |", *rows])
    )
    wrong = [
        f"{name} ({found[name] or 'none stated'})" for name in names if not is_allowed(found[name])
    ]
    if wrong:
        raise Problem(f"licences that nobody has allowed yet: {', '.join(wrong)}")
    return 0


if __name__ == "__main__":
    runner.run(main)
