#!/usr/bin/env python3
"""The version, which stands in app/__init__.py, and the steps from commits to a release.

A release is a pull request: `prepare` writes the next version and its CHANGELOG section. When
that commit reaches main, the pipeline ships it, and then tags it and publishes the notes.
docs/CI-CD.md, "Release", tells it from start to end.
"""

import argparse
import datetime
import re
import subprocess
from pathlib import Path

import changelog
import commits
import runner
from runner import Problem

ROOT = Path(__file__).resolve().parents[2]
VERSION_FILE = Path("app/__init__.py")
CHANGELOG_FILE = Path("CHANGELOG.md")
VERSION_LINE = re.compile(r'^__version__ = "(\d+\.\d+\.\d+)"$', re.MULTILINE)
RELEASE_SUBJECT = re.compile(r"^chore\(release\): v(\d+\.\d+\.\d+)(?: \(#\d+\))?$")


class Repository:
    """The working tree a release is made from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def git(self, *arguments: str) -> str:
        """What git prints; Problem with git's own words if it fails."""
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise Problem(
                f"git {arguments[0]}: {done.stderr.strip().splitlines()[-1:] or 'failed'}"
            )
        return done.stdout.strip()

    def version(self) -> str:
        """The version in app/__init__.py."""
        found = VERSION_LINE.search((self.folder / VERSION_FILE).read_text(encoding="utf-8"))
        if not found:
            raise Problem(f'{VERSION_FILE} holds no line like __version__ = "1.2.3"')
        return found[1]

    def last_tag(self) -> str:
        """The newest version tag before here, such as v1.2.3, or "" if there is none."""
        tags = self.git("tag", "--merged", "HEAD", "--list", "v*.*.*", "--sort=-v:refname")
        versions = [tag for tag in tags.splitlines() if re.fullmatch(r"v\d+\.\d+\.\d+", tag)]
        return versions[0] if versions else ""

    def commits(self) -> list[commits.Commit]:
        """Every change since the last version, newest first; merges say nothing of their own."""
        tag = self.last_tag()
        span = f"{tag}..HEAD" if tag else "HEAD"
        log = self.git("log", "--no-merges", "--format=%s%x00%b%x01", span)
        return [
            commits.parse(subject.strip(), body)
            for subject, body in (
                entry.split("\0", 1) for entry in log.split("\x01") if entry.strip()
            )
        ]

    def next_version(self, bump: str) -> str:
        """The first release is the version that stands there; later ones follow the commits."""
        tag = self.last_tag()
        if not tag:
            return self.version()
        changes = [change for change in self.commits() if not RELEASE_SUBJECT.match(change.subject)]
        if not changes:
            raise Problem(f"nothing has changed since {tag}, so there is nothing to release")
        return commits.bumped(
            tag.removeprefix("v"), commits.bump(changes) if bump == "auto" else bump
        )

    def build_version(self) -> str:
        """What an image built here calls itself: 1.2.3, or 1.2.3+4.gabc1234 between releases."""
        version, tag = self.version(), self.last_tag()
        commit = self.git("rev-parse", "--short=7", "HEAD")
        if self.released_version():
            return version
        distance = self.git("rev-list", "--count", f"{tag}..HEAD" if tag else "HEAD")
        return (
            version
            if tag == f"v{version}" and distance == "0"
            else f"{version}+{distance}.g{commit}"
        )

    def released_version(self) -> str:
        """The version this very commit releases, or "" for any other commit."""
        found = RELEASE_SUBJECT.match(self.git("log", "-1", "--format=%s"))
        if not found:
            return ""
        if found[1] != self.version():
            raise Problem(f"the commit releases v{found[1]}, {VERSION_FILE} says {self.version()}")
        return found[1]

    def prepare(self, version: str, today: datetime.date) -> None:
        """Write the version and its CHANGELOG section into the working tree."""
        for path in (VERSION_FILE, CHANGELOG_FILE):
            if self.git("status", "--porcelain", "--", str(path)):
                raise Problem(
                    f"{path} has changes that are not committed: commit or undo them first"
                )
        path = self.folder / CHANGELOG_FILE
        text = path.read_text(encoding="utf-8")
        entries = [] if changelog.section(text, "Unreleased") else commits.entries(self.commits())
        path.write_text(changelog.release(text, version, today, entries), encoding="utf-8")
        path = self.folder / VERSION_FILE
        text = VERSION_LINE.sub(f'__version__ = "{version}"', path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")


def image_tags(version: str) -> list[str]:
    """The names a released image gets: 1.2.3 1.2 1 latest; 0.x promises no stable major."""
    major, minor, _ = version.split(".")
    return [version, f"{major}.{minor}", *([major] if major != "0" else []), "latest"]


def notes(repository: Repository, version: str) -> str:
    """The CHANGELOG section of a version, which must exist."""
    text = (repository.folder / CHANGELOG_FILE).read_text(encoding="utf-8")
    section = changelog.section(text, version)
    if not section:
        raise Problem(f"{CHANGELOG_FILE} has no entries under [{version}]")
    return section


def prepare(repository: Repository, arguments: argparse.Namespace) -> None:
    version = repository.next_version(arguments.bump)
    title = f"chore(release): v{version}"
    if arguments.dry_run:
        print(f"would write {version} to {VERSION_FILE} and its section to {CHANGELOG_FILE}")
        return
    repository.prepare(version, datetime.datetime.now(datetime.UTC).date())
    if arguments.commit:
        repository.git("switch", "--quiet", "--create", f"release/v{version}")
        repository.git("add", str(VERSION_FILE), str(CHANGELOG_FILE))
        repository.git("commit", "--quiet", "--message", title)
        print(f"Committed on the branch release/v{version}. Next:")
    else:
        print(
            f"Wrote {version} to {VERSION_FILE} and {CHANGELOG_FILE}. Next, after a look at both:"
        )
        print(f"  git switch --create release/v{version} && git commit --all -m '{title}'")
    print(f"  git push --set-upstream origin release/v{version} && gh pr create --fill")


def parse_arguments() -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--dry-run", action="store_true", help="only prepare would change anything")
    common.add_argument("--folder", type=Path, default=ROOT, help=argparse.SUPPRESS)
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=runner.EXIT_STATUS,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, parents=[common], help=text)

    command("version", "the version in app/__init__.py")
    command("build-version", "what an image built from this commit calls itself")
    following = command("next", "the version the commits ask for")
    writing = command("prepare", "write that version, and its section of CHANGELOG.md")
    writing.add_argument("--commit", action="store_true", help="on a branch release/vX.Y.Z")
    for parser_of_bump in (following, writing):
        parser_of_bump.add_argument(
            "--bump", choices=["auto", "major", "minor", "patch"], default="auto"
        )
    command("notes", "the CHANGELOG section of a version").add_argument("wanted", metavar="VERSION")
    command("tags", "the image tags of a version").add_argument("wanted", metavar="VERSION")
    command("check-title", "is this the first line of a conventional commit?").add_argument("title")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    repository = Repository(arguments.folder)
    match arguments.command:
        case "version":
            print(repository.version())
        case "build-version":
            print(repository.build_version())
        case "next":
            print(repository.next_version(arguments.bump))
        case "prepare":
            prepare(repository, arguments)
        case "notes":
            print(notes(repository, arguments.wanted))
        case "tags":
            print(*image_tags(arguments.wanted))
        case "check-title":
            commits.check(arguments.title)
    return 0


if __name__ == "__main__":
    runner.run(main)
