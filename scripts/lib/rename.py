"""Makes a clone one's own: the service's name wherever it stands, and the licence's holder.

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

ROOT = Path(__file__).resolve().parents[2]
LICENSE = ROOT / "LICENSE"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 40  # with what Compose adds, a container's name stays below DNS's 63 characters
EXAMPLE = "my-service"  # of the help and the docs, and so to be found here
HOLDER = re.compile(r"[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,99}")

# Where a word already has a meaning that the name would be mixed up with.
MEANINGFUL = ("app", "docker", "infrastructure", "monitoring", "scripts", ".github", "compose.yaml")

# Made by tools or by running; only looked at when git cannot say what belongs to the project.
NOT_OURS = {".git", ".venv", ".run", "node_modules", "__pycache__", "secrets", "certs"}


class Refused(Exception):
    """The reason, in one line."""


def rename(name: str) -> int:
    """Put `name` wherever the present one stands; returns the number of files changed.

    Raises:
        Refused: the name is no good here; nothing has been changed.
    """
    present = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    slug = present["project"]["name"]
    heading = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[0]
    check_name(name, slug)
    spellings = {
        slug: name,
        slug.replace("-", "_"): name.replace("-", "_"),
        heading.removeprefix("# "): title(name),
    }
    present_names = "|".join(re.escape(old) for old in spellings)
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{present_names})(?![A-Za-z0-9])")
    changed = 0
    for path, text in texts():
        # The licence asks for its notice to be kept: `hold` adds a line, nothing takes one away.
        if path == LICENSE:
            continue
        renamed = pattern.sub(lambda match: spellings[match[0]], text)
        if renamed != text:
            path.write_bytes(renamed.encode("utf-8", "surrogateescape"))
            changed += 1
    return changed


def title(name: str) -> str:
    """The name as a heading: my-service is My Service."""
    return " ".join(word.capitalize() for word in name.split("-"))


def check_name(name: str, present: str) -> None:
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise Refused(
            f"{name!r} cannot be the name: take lower-case letters, digits and single hyphens,"
            f" a letter first, {LONGEST} at most, e.g. --name {EXAMPLE}"
        )
    if name == present:
        raise Refused(f"it is called {name} already")
    if name == EXAMPLE:
        return
    word = re.compile(rf"(?<![A-Za-z0-9-])(?:{name}|{title(name)})(?![A-Za-z0-9-])")
    for path, text in texts():
        relative = path.relative_to(ROOT)
        found = word.search(text) if relative.parts[0] in MEANINGFUL else None
        if found:
            line = text.count("\n", 0, found.start()) + 1
            raise Refused(
                f"{name!r} already means something here ({relative}:{line}): take another"
            )


def check_holder(holder: str) -> None:
    if not HOLDER.fullmatch(holder):
        raise Refused(f"{holder!r} cannot be the holder: take a name, e.g. --holder 'Ada Lovelace'")


def hold(holder: str) -> None:
    """Name the holder of what is new, above the notice that came with the clone."""
    lines = LICENSE.read_text(encoding="utf-8").splitlines(keepends=True)
    notices = [number for number, line in enumerate(lines) if line.startswith("Copyright ")]
    own = f"Copyright (c) {time.localtime().tm_year} {holder}\n"
    first = notices[0]
    lines[first : first + (len(notices) > 1)] = [own]
    LICENSE.write_text("".join(lines), encoding="utf-8")


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the project, with its text."""
    for path in files():
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" not in content:
            yield path, content.decode("utf-8", "surrogateescape")


def files() -> list[Path]:
    """What git tracks or would track; without git, whatever is not known to be made by tools."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        listing = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        done = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True)
        return [ROOT / name for name in sorted(set(done.stdout.decode().split("\0"))) if name]
    everything = sorted(ROOT.rglob("*"))
    return [path for path in everything if not NOT_OURS & set(path.relative_to(ROOT).parts)]


class Options(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message}; ./scripts/setup.sh --help lists all options")


def main() -> int:
    parser = Options(add_help=False, allow_abbrev=False)
    parser.add_argument("--name")
    parser.add_argument("--holder")
    try:
        given = parser.parse_args()
        if given.holder is not None:
            check_holder(given.holder)
        if given.name is not None:
            print(f"The name is {given.name} now, in {rename(given.name)} files.")
        if given.holder is not None:
            hold(given.holder)
            print(f"The licence names {given.holder}.")
    except (Refused, OSError, subprocess.CalledProcessError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    print("Look at it with git diff; then ./scripts/run-tests.sh.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
