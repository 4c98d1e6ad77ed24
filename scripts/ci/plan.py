#!/usr/bin/env python3
"""Decide from the changed paths what a pipeline run does, and say why in its summary.

Without GitHub: scripts/ci/plan.py --base HEAD^
"""

import argparse
import fnmatch
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "lib"))
# pylint: disable=wrong-import-position
from command_error import CommandError, run  # noqa: E402

VERSION_FILE = Path("app/version.py")
VERSION_LINE = re.compile(r'^__version__ = "(\d+\.\d+\.\d+)"', re.MULTILINE)
# release-please changes it in the pull request that releases a version, and nowhere else.
RELEASE_MANIFEST = ".release-please-manifest.json"
# In a pattern, * also matches slashes.
PAGES = ("*.md", "docs/*", "LICENSE", ".github/ISSUE_TEMPLATE/*", ".github/CODEOWNERS")
# Neither in the image, nor in the files that a deployment brings to the host, nor in its tests.
OUTSIDE_THE_IMAGE = (
    *("tests/unit/*", "tests/integration/*", "tests/performance/*", "tests/fuzz/*"),
    *("findings/*", ".ci/*"),
    *(".github/dependabot.yml", ".github/workflows/security-scan.yml", ".pre-commit-config.yaml"),
    *(".github/workflows/pull-request.yml", ".github/workflows/codeql.yml"),
    *(".flake8", ".yamllint", ".checkov.yaml", "pytest.ini"),
)
# Selections of tests/e2e, of about the same length; with DRILLS they are all.
E2E = (
    "deploy or setup",
    "(monitoring or week) and not (deploy or setup)",
    "not (deploy or setup or monitoring or week or drills)",
)
# Alerts, waited for in real time: longer than a push should. Else they are tested each night.
DRILLS = "drills and not (deploy or setup or monitoring or week)"
DRILLED = (
    *("monitoring/*", "infrastructure/docker-compose*", "docker/nginx/*", "scripts/*drill*"),
    *("app/utils/metrics.py", "app/server/process_metrics.py", "app/services/faults.py"),
    "tests/e2e/*",
)
NOT_PUBLIC = (
    "This repository is not public, so harden-runner, attestations, code scanning and the review of"
    " new dependencies are skipped: they are offered to public repositories."
)
CODE_JOBS = "lint unit integration security image"


@dataclass(frozen=True)
class Plan:
    """code: more than pages changed; build: the image or its deployment may differ."""

    code: bool
    build: bool
    why: str

    @property
    def may_skip(self) -> str:
        """The jobs that the gate accepts as skipped."""
        if not self.code:
            return CODE_JOBS
        return "pages" if self.build else "pages image"


def decide(paths: list[str] | None) -> Plan:
    """The plan for these changed paths; None: they are not known, so everything runs."""
    if paths is None:
        return Plan(True, True, "The changed paths are not known, so everything runs.")
    code = [path for path in paths if not matches(path, PAGES)]
    if not code:
        return Plan(False, False, "Only pages changed: their tests run, and no image is built.")
    build = [path for path in code if not matches(path, OUTSIDE_THE_IMAGE)]
    if not build:
        return Plan(True, False, "Nothing changed that the image depends on, so none is built.")
    return Plan(True, True, f"Everything runs, because of {build[0]}.")


def e2e_parts(paths: list[str] | None) -> tuple[str, ...]:
    """What of the end-to-end tests runs for these changed paths, as arguments of pytest -k."""
    drilled = paths is None or any(matches(path, DRILLED) for path in paths)
    return (*E2E, DRILLS) if drilled else E2E


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)


def changed(base: str) -> list[str] | None:
    """The paths that HEAD changes since it left base; None if git does not know base."""
    done = git("diff", "--name-only", "--no-renames", "-z", f"{base}...HEAD")
    if not base or done.returncode != 0:
        return None
    return [path for path in done.stdout.split("\0") if path]


def version() -> str:
    """1.2.3 for the commit that releases it, 1.2.3+g0123abc for every other."""
    text = VERSION_FILE.read_text(encoding="utf-8") if VERSION_FILE.exists() else ""
    found = VERSION_LINE.search(text)
    if not found:
        raise CommandError(f'{VERSION_FILE} has no line like __version__ = "1.2.3"')
    if git("diff", "--quiet", "HEAD^", "HEAD", "--", RELEASE_MANIFEST).returncode == 1:
        return found[1]
    return f"{found[1]}+g{git('rev-parse', '--short=7', 'HEAD').stdout.strip()}"


def write(variable: str, text: str) -> None:
    """To the file that GitHub names in this variable, on another machine to the terminal."""
    with open(os.environ.get(variable, "/dev/stdout"), "a", encoding="utf-8") as file:
        file.write(text)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Exit status: 0 decided, 1 not (the last line says why), 2 wrong arguments.",
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--base", default=os.environ.get("BASE", ""), help="default: BASE")
    arguments = parser.parse_args()
    paths = changed(arguments.base)
    plan = decide(paths)
    outputs = {
        "code": str(plan.code).lower(),
        "build": str(plan.build).lower(),
        "may-skip": plan.may_skip,
        "e2e": json.dumps(e2e_parts(paths)),
        "version": version(),
        "image": f"ghcr.io/{os.environ.get('GITHUB_REPOSITORY', 'local/service').lower()}",
    }
    write("GITHUB_OUTPUT", "".join(f"{name}={value}\n" for name, value in outputs.items()))
    write("GITHUB_STEP_SUMMARY", f"{plan.why}\n\n")
    if os.environ.get("VISIBILITY", "public") != "public":
        write("GITHUB_STEP_SUMMARY", f"{NOT_PUBLIC}\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
