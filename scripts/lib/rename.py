"""setup.sh --name: replace the service's name everywhere, and name the licence's holder."""

import argparse
import re
import subprocess
import sys
import time
import tomllib
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


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message}; ./scripts/setup.sh --help lists all options")


def main() -> None:
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--name")
    parser.add_argument("--holder")
    given = parser.parse_args()
    if given.holder is not None and not HOLDER.fullmatch(given.holder):
        hint = "give a name, e.g. --holder 'Ada Lovelace'"
        raise CommandError(f"{given.holder!r} cannot be the holder: {hint}")
    if given.name is not None:
        print(f"The name is {given.name} now, in {rename(given.name)} files.")
    if given.holder is not None:
        set_holder(given.holder)
        print(f"The licence names {given.holder}.")
    print("Look at it with git diff; then ./scripts/run-tests.sh.")


def rename(name: str) -> int:
    """Replace the present name everywhere, also of folders; returns the number of files changed.

    Raises:
        CommandError: the name cannot be used; nothing has been changed.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    present, files = project["name"], texts()
    check_name(name, present, files)
    spellings = {present: name, present.replace("-", "_"): name.replace("-", "_")}
    # The name as a heading, in its own upper and lower case.
    heading = word(present.replace("-", " "), flags=re.IGNORECASE)
    for text in files.values():
        spellings |= {
            found: title(name) for found in heading.findall(text) if found.istitle() or " " in found
        }
    pattern = word("|".join(map(re.escape, spellings)))
    changed = 0
    for path, text in files.items():
        # The licence requires that its notice is kept.
        renamed = text if path == LICENSE else pattern.sub(lambda match: spellings[match[0]], text)
        if renamed != text:
            path.write_bytes(renamed.encode("utf-8", "surrogateescape"))
            changed += 1
    parents = {folder for path in files for folder in path.relative_to(ROOT).parents}
    for folder in parents:
        if folder.name == present:
            (ROOT / folder).rename(ROOT / folder.with_name(name))
    return changed


def title(name: str) -> str:
    """The name as a heading: my-service is My Service."""
    return " ".join(part.capitalize() for part in name.split("-"))


def word(alternatives: str, also: str = "", flags: int = 0) -> re.Pattern[str]:
    return re.compile(f"(?<![A-Za-z0-9{also}])(?:{alternatives})(?![A-Za-z0-9{also}])", flags)


def check_name(name: str, present: str, files: dict[Path, str]) -> None:
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise CommandError(
            f"{name!r} cannot be the name: use lower-case letters, digits and single hyphens,"
            f" a letter first, {LONGEST} at most, e.g. --name {EXAMPLE}"
        )
    if name == present:
        raise CommandError(f"its name is {name} already")
    for path, text in files.items():
        place = path.relative_to(ROOT)
        if name == EXAMPLE or place.parts[0] not in MEANINGFUL:
            continue
        if found := word(f"{name}|{title(name)}", also="-").search(text):
            line = text.count("\n", 0, found.start()) + 1
            meaning = f"already means something here ({place}:{line})"
            raise CommandError(f"{name!r} {meaning}: choose another")


def set_holder(holder: str) -> None:
    """Name the holder of what is new, above the notice that came with the clone."""
    lines = LICENSE.read_text(encoding="utf-8").splitlines(keepends=True)
    notices = [number for number, line in enumerate(lines) if line.startswith("Copyright ")]
    own = f"Copyright (c) {time.localtime().tm_year} {holder}\n"
    lines[notices[0] : notices[0] + (len(notices) > 1)] = [own]
    LICENSE.write_text("".join(lines), encoding="utf-8")


def texts() -> dict[Path, str]:
    """Every text file that git tracks or would track, with its text."""
    command = ["git", "grep", "--no-color", "-I", "-z", "--files-with-matches", "--untracked", ""]
    names = subprocess.check_output(command, cwd=ROOT, text=True).rstrip("\0").split("\0")
    paths = [ROOT / name for name in names]
    return {path: path.read_bytes().decode("utf-8", "surrogateescape") for path in paths}


if __name__ == "__main__":
    sys.exit(run(main))
