#!/usr/bin/env python3
"""Decide from the changed paths what a pipeline run does, and say why in its summary.

Without GitHub: scripts/ci/plan.py --base HEAD^
With --check: whether the jobs in NEEDS, as GitHub describes them, did what was decided.
PUBLISHED is the commit whose image was published last, in a push.
Exit status: 0 decided, 1 not (the last line says why), 2 wrong arguments.
"""

import fnmatch
import json
import os
import re
import subprocess
import sys
from argparse import ArgumentParser, RawTextHelpFormatter
from dataclasses import dataclass, replace
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
    *("tests/unit/*", "tests/integration/*", "tests/performance/*", "tests/fuzz/*", "findings/*"),
    *(f".github/workflows/{name}.yml" for name in ("security-scan", "pull-request", "codeql")),
    *(".github/dependabot.yml", ".github/*/clouds.yml", ".pre-commit-config.yaml", ".ci/*"),
    *("*/terraform/*", "*/argocd/*", "*/policies/*"),
    *(".flake8", ".yamllint", ".checkov.yaml", "pytest.ini"),
)
# Parts of tests/e2e, as arguments of pytest -k. The first one always runs, the others if what they
# test has changed, and at night: DRILLS waits for alerts, WEEK lives a scaled-down week on call.
STACK = "not (deploy or setup or resilience or monitoring or drills or week)"
DEPLOYMENT = "deploy or setup or resilience"
MONITORING = "monitoring and not (deploy or setup or resilience)"
DRILLS = "drills and not (deploy or setup or resilience or monitoring)"
WEEK = "week and not (deploy or setup or resilience or monitoring or drills)"
# What answers requests does so wherever it runs, but for what deployments and clusters ask.
REQUESTS = ("app/routes/*", "app/services/*", "app/static/*", "app/templates/*")
PROBES = ("app/*/health.py", "app/routes/info.py", "app/routes/metrics.py")
OUTSIDE_A_DEPLOYMENT = (*REQUESTS, "infrastructure/helm/*")
OUTSIDE_A_CLUSTER = (*REQUESTS, "tests/e2e/*", "infrastructure/docker-compose*", "scripts/*deploy*")
DRILLED = (
    *("monitoring/*", "infrastructure/docker-compose*", "docker/nginx/*", "scripts/*drill*"),
    *("app/*metrics.py", "app/services/faults.py", "tests/e2e/*"),
)
NOT_PUBLIC = (
    "This repository is not public, so harden-runner, attestations, code scanning and the review of"
    " new dependencies are skipped: they are offered to public repositories."
)
CODE_JOBS = ["lint", "unit", "integration", "image"]


@dataclass(frozen=True)
class Plan:
    """code: more than pages changed; build: the image or its deployment may differ."""

    code: bool
    build: bool
    why: str
    e2e: tuple[str, ...] = ()
    kubernetes: bool = False
    promotion: bool = False

    @property
    def may_skip(self) -> str:
        """The jobs that the gate accepts as skipped."""
        skipped = [] if self.build else ["image"] if self.code else CODE_JOBS
        return " ".join(skipped if self.promotion else [*skipped, "promotion"])


def decide(paths: list[str] | None) -> Plan:
    """The plan for these changed paths; None: they are not known."""
    if paths is None:
        why = "The changed paths are not known, so all runs that any change may need."
        return Plan(True, True, why, (STACK, DEPLOYMENT, MONITORING, DRILLS), True, True)
    promotion = some(paths, ("environments/production/*",))
    # What an environment runs is built already: the pipeline's own commits build nothing.
    code = others(paths, (*PAGES, "environments/*"))
    if not code:
        return Plan(False, False, "Only pages or environments changed.", promotion=promotion)
    build = others(code, OUTSIDE_THE_IMAGE)
    if not build:
        return Plan(True, False, "The image is not affected: none is built.", promotion=promotion)
    probes = some(build, PROBES)
    e2e = [STACK]
    e2e += [DEPLOYMENT] if probes or others(build, OUTSIDE_A_DEPLOYMENT) else []
    e2e += [MONITORING, DRILLS] if some(build, DRILLED) else []
    e2e += [WEEK] if some(build, ("tests/e2e/test_week.py",)) else []
    kubernetes = probes or bool(others(build, OUTSIDE_A_CLUSTER))
    why = f"An image is built: {build[0]}."
    return Plan(True, True, why, tuple(e2e), kubernetes, promotion)


def others(paths: list[str], patterns: tuple[str, ...]) -> list[str]:
    """The paths that match no pattern."""
    return [path for path in paths if not any(fnmatch.fnmatchcase(path, one) for one in patterns)]


def some(paths: list[str], patterns: tuple[str, ...]) -> bool:
    return len(others(paths, patterns)) < len(paths)


def check(needs: str, may_skip: str) -> None:
    """Raise CommandError unless every job succeeded, or was skipped as the plan says."""
    results = {name: job["result"] for name, job in json.loads(needs).items()}
    accepted = {"success": list(results), "skipped": may_skip.split()}
    wrong = [f"{name}: {one}" for name, one in results.items() if name not in accepted.get(one, [])]
    if wrong or not results:
        raise CommandError(f"not every job succeeded: {', '.join(wrong) or 'none ran'}")


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    call = ["git", *arguments]  # names of files need not be UTF-8
    return subprocess.run(call, capture_output=True, text=True, errors="replace", check=False)


def changed(base: str) -> list[str] | None:
    """The paths that HEAD changes since it left base; None if git does not know base."""
    done = git("diff", "--name-only", "--no-renames", "-z", f"{base}...HEAD")
    known = base and done.returncode == 0
    return [path for path in done.stdout.split("\0") if path] if known else None


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
    parser = ArgumentParser(description=__doc__, formatter_class=RawTextHelpFormatter)
    parser.add_argument("--base", default=os.environ.get("BASE", ""), help="default: BASE")
    parser.add_argument("--check", action="store_true", help="MAY_SKIP names jobs as here")
    arguments = parser.parse_args()
    if arguments.check:
        check(os.environ.get("NEEDS", "{}"), os.environ.get("MAY_SKIP", ""))
        return 0
    plan = decide(changed(arguments.base))
    if plan.build and os.environ.get("PUBLISHED"):
        # Its pull request has run the slow tests; the other parts have no others. What an earlier
        # run did not publish, because a test failed, is still to be proved.
        more = decide(changed(os.environ["PUBLISHED"]))
        plan = replace(plan, e2e=(STACK,), kubernetes=plan.kubernetes or more.kubernetes)
    named = ("code", "build", "e2e", "kubernetes", "promotion")
    outputs = {name: json.dumps(getattr(plan, name)) for name in named} | {
        "may-skip": plan.may_skip,
        "version": version(),
        "image": f"ghcr.io/{os.environ.get('GITHUB_REPOSITORY', 'local/service').lower()}",
    }
    write("GITHUB_OUTPUT", "".join(f"{name}={value}\n" for name, value in outputs.items()))
    public = os.environ.get("VISIBILITY", "public") == "public"
    write("GITHUB_STEP_SUMMARY", f"{plan.why}\n\n{'' if public else NOT_PUBLIC}\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
