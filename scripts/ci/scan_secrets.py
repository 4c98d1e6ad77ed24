#!/usr/bin/env python3
"""Looks for passwords, tokens and private keys in the files git tracks, or in all that it ever had.

A line that only looks like a secret ends in the comment `pragma: allowlist secret`, for the
reviewer to see.
Runs in the project's environment: .venv/bin/python scripts/ci/scan_secrets.py
"""

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import runner
from runner import Problem

with runner.environment():
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import default_settings

ROOT = Path(__file__).resolve().parents[2]
# Published hashes, which look as random as keys do, and a page that others wrote and minified.
PASSED_OVER = ("requirements.txt", "requirements-dev.txt", "app/static/swagger-ui/")
# Tests make up passwords and tokens, so neither a word nor randomness is a sign there; the forms
# that real keys have still are.
MADE_UP = ("tests/",)
BY_LOOKS = {"Secret Keyword", "Base64 High Entropy String", "Hex High Entropy String"}


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    kind: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind}"


def findings(folder: Path, paths: list[str]) -> list[Finding]:
    """What stands in these files of a folder; the secret itself is never part of the answer."""
    found = []
    with default_settings():
        for path in paths:
            if path.startswith(PASSED_OVER):
                continue
            for secret in scan_file(str(folder / path)):
                if not (secret.type in BY_LOOKS and path.startswith(MADE_UP)):
                    found.append(Finding(path, secret.line_number, secret.type))
    return sorted(found, key=str)


def tracked(folder: Path) -> list[str]:
    names = _git(folder, "ls-files", "-z").decode().split("\0")
    return [name for name in names if name and (folder / name).is_file()]


def historic(folder: Path) -> Iterator[tuple[str, str]]:
    """(blob, path) of every content a file ever had, on any branch."""
    seen = set()
    log = _git(
        *(folder, "log", "--all", "--raw", "--no-abbrev", "--format=", "-m"),
        *("--no-renames", "--diff-filter=AMT"),
    )
    for line in log.decode(errors="replace").splitlines():
        fields, _, path = line.partition("\t")
        blob = fields.split()[3]
        if (blob, path) not in seen:
            seen.add((blob, path))
            yield blob, path


def history_findings(folder: Path) -> list[Finding]:
    found = []
    with tempfile.TemporaryDirectory() as name:
        for blob, path in historic(folder):
            copy = Path(name) / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(_git(folder, "cat-file", "blob", blob))
            found += [
                Finding(f"{blob[:12]}:{f.path}", f.line, f.kind)
                for f in findings(Path(name), [path])
            ]
            copy.unlink()
    return found


def _git(folder: Path, *arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    if done.returncode != 0:
        raise Problem(f"git {arguments[0]}: {done.stderr.decode().strip()}")
    return done.stdout


def main() -> int:
    parser = runner.parser(__doc__)
    parser.add_argument("--history", action="store_true", help="every version of every file")
    parser.add_argument("--folder", type=Path, default=ROOT, help="default: this repository")
    parser.add_argument("paths", nargs="*", help="only these files, relative to the folder")
    arguments = parser.parse_args()
    if arguments.dry_run:
        return 0
    if arguments.history:
        found = history_findings(arguments.folder)
    else:
        found = findings(arguments.folder, arguments.paths or tracked(arguments.folder))
    for finding in found:
        print(finding)
    if found:
        raise Problem(
            f"{len(found)} lines look like secrets: take a real one out and replace it where it is"
            " used, since it is known now; mark any other with `pragma: allowlist secret`"
        )
    runner.summarise(
        "No secret was found" + (" in the whole history." if arguments.history else ".")
    )
    return 0


if __name__ == "__main__":
    runner.run(main)
