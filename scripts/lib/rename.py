"""Make a clone your own: replace the service's name everywhere, and name the licence's holder.

Usage: ./scripts/setup.sh --name NAME [--holder HOLDER]
Exit status: 0 done, 1 refused (one line says why, and nothing has changed).
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from command_error import CommandError, run

ROOT = Path(__file__).resolve().parents[2]
LICENSE = ROOT / "LICENSE"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 40  # with what Compose adds, a container's name stays below DNS's 63 characters
EXAMPLE = "my-service"  # stands in the help and the docs
HOLDER = re.compile(r"[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,99}")
# Folders in which a word that has a meaning already cannot be the name.
MEANINGFUL = ("app", "docker", "infrastructure", "monitoring", "scripts", ".github", "compose.yaml")
# Made by tools or by running; excluded when git cannot say what belongs to the project.
GENERATED = {".git", ".venv", ".run", "node_modules", "__pycache__", "secrets", "certs"}


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message}; ./scripts/setup.sh --help lists all options")


def main() -> None:
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--name")
    parser.add_argument("--holder")
    given = parser.parse_args()
    if given.holder is not None and not HOLDER.fullmatch(given.holder):
        raise CommandError(
            f"{given.holder!r} cannot be the holder: give a name, e.g. --holder 'Ada Lovelace'"
        )
    if given.name is not None:
        print(f"The name is {given.name} now, in {rename(given.name)} files.")
    if given.holder is not None:
        set_holder(given.holder)
        print(f"The licence names {given.holder}.")
    print("Look at it with git diff; then ./scripts/run-tests.sh.")


def rename(name: str) -> int:
    """Replace the present name everywhere; returns the number of files changed.

    Raises:
        CommandError: the name cannot be used; nothing has been changed.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    heading = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[0]
    check_name(name, project["name"])
    spellings = {
        project["name"]: name,
        project["name"].replace("-", "_"): name.replace("-", "_"),
        heading.removeprefix("# "): title(name),
    }
    names = "|".join(re.escape(old) for old in spellings)
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{names})(?![A-Za-z0-9])")
    changed = 0
    for path, text in texts():
        # The licence requires that its notice is kept.
        renamed = text if path == LICENSE else pattern.sub(lambda match: spellings[match[0]], text)
        if renamed != text:
            path.write_bytes(renamed.encode("utf-8", "surrogateescape"))
            changed += 1
    return changed


def title(name: str) -> str:
    """The name as a heading: my-service is My Service."""
    return " ".join(word.capitalize() for word in name.split("-"))


def check_name(name: str, present: str) -> None:
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise CommandError(
            f"{name!r} cannot be the name: use lower-case letters, digits and single hyphens,"
            f" a letter first, {LONGEST} at most, e.g. --name {EXAMPLE}"
        )
    if name == present:
        raise CommandError(f"its name is {name} already")
    word = re.compile(rf"(?<![A-Za-z0-9-])(?:{name}|{title(name)})(?![A-Za-z0-9-])")
    for path, text in texts():
        relative = path.relative_to(ROOT)
        if name == EXAMPLE or relative.parts[0] not in MEANINGFUL:
            continue
        if found := word.search(text):
            place = f"{relative}:{text.count(chr(10), 0, found.start()) + 1}"
            raise CommandError(f"{name!r} already means something here ({place}): choose another")


def set_holder(holder: str) -> None:
    """Name the holder of what is new, above the notice that came with the clone."""
    lines = LICENSE.read_text(encoding="utf-8").splitlines(keepends=True)
    notices = [number for number, line in enumerate(lines) if line.startswith("Copyright ")]
    own = f"Copyright (c) {time.localtime().tm_year} {holder}\n"
    lines[notices[0] : notices[0] + (len(notices) > 1)] = [own]
    LICENSE.write_text("".join(lines), encoding="utf-8")


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the project, with its text."""
    for path in files():
        if path.is_file() and not path.is_symlink() and b"\0" not in (content := path.read_bytes()):
            yield path, content.decode("utf-8", "surrogateescape")


def files() -> list[Path]:
    """What git tracks or would track; without git, everything that tools have not made."""
    if (git := shutil.which("git")) and (ROOT / ".git").exists():
        command = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        return [ROOT / name for name in sorted(set(done.stdout.decode().split("\0"))) if name]
    return [
        path
        for path in sorted(ROOT.rglob("*"))
        if not GENERATED & set(path.relative_to(ROOT).parts)
    ]


if __name__ == "__main__":
    sys.exit(run(main))
