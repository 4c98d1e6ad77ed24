"""How many minutes GitHub counts for a change, and how many a push takes to its signed image.

Run: python scripts/lib/pipeline_minutes.py. docs/CI-CD.md has what it prints. The table beside this
file has the seconds of each job; which jobs a change starts is read from scripts/ci/plan.py, what a
job waits for from the workflows.
GitHub rounds each job's time up to minutes. They are counted in private repositories only, whose
machines have two processors, as the one that was measured; those of public ones have four.
"""

import csv
import math
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts" / "ci"))
# pylint: disable=wrong-import-position
import plan  # noqa: E402

TABLE = Path(__file__).with_suffix(".tsv")
# A machine starts, the first action is loaded, files are checked out: seconds, an estimate.
BEFORE = 20
# Where a push ends, for its author.
SIGNED, PAGES = "ci-cd/publish", "ci-cd/required"
ONLY_ON_MAIN = {SIGNED, "ci-cd/release"}
# With Argo CD: the job Promote, an estimate; half of the three minutes after which Git is asked
# again; and a canary, by tests/e2e/test_kubernetes_delivery.py with the usual stepSeconds.
PROMOTE, ASKED, CANARY = BEFORE + 15, 90, 104
# What a change touches, for example.
CHANGES = {
    "how the service answers": ["app/routes/items.py"],
    "deployments and clusters": ["docker/Dockerfile"],
    "alerts": ["monitoring/prometheus/rules/web-alerts.yml"],
    "pages": ["README.md"],
}
# Seconds of a job, or of its part in parentheses, which may run in one of two places only.
PLACES = ("(in a pull request)", "(on main)")
Seconds = dict[str, float]


def measured() -> Seconds:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {row["job"]: BEFORE + float(row["seconds"]) for row in rows}


def jobs() -> dict[str, Any]:
    """Of the pipeline and of the workflow that it calls for the image."""
    found = {}
    for name in ("ci-cd", "docker-build"):
        path = ROOT / ".github" / "workflows" / f"{name}.yml"
        for job, data in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].items():
            found[f"{name}/{job}"] = data
    return found


def started(paths: list[str], on_main: bool) -> Seconds:
    """What a change of these paths runs, in its pull request or on main."""
    plan_ = plan.decide(paths)
    left_out = {f"ci-cd/{job}" for job in plan_.may_skip.split()}
    left_out |= set() if on_main else ONLY_ON_MAIN
    if not plan_.build:
        left_out |= {job for job in jobs() if job.startswith("docker-build/")} | {SIGNED}
    elif not plan_.kubernetes:
        left_out.add("docker-build/kubernetes")
    required = f"{PAGES}{'' if plan_.code else ' (pages)'}"
    run = {job: seconds for job, seconds in measured().items() if base(job) not in left_out}
    parts = {f"docker-build/e2e ({part})" for part in plan_.e2e if not on_main}
    return {
        job: seconds
        for job, seconds in run.items()
        if (job == required if base(job) == PAGES else job == base(job))
        or job in parts
        or job.endswith(PLACES[on_main])
    }


def base(job: str) -> str:
    return job.partition(" ")[0]


def end(job: str, run: Seconds, known: dict[str, Any]) -> float:
    """Seconds from the push to the end of a job and all its parts; 0 for one that does not run."""
    if job == "ci-cd/image":
        start = end("ci-cd/plan", run, known)
        return start + max(end(one, run, known) for one in known if one.startswith("docker-build/"))
    own = [seconds for part, seconds in run.items() if base(part) == job]
    if not own:
        return 0
    workflow = job.partition("/")[0]
    needs = [f"{workflow}/{name}" for name in known[job].get("needs", [])]
    return max((end(one, run, known) for one in needs), default=0) + max(own)


def to_production(paths: list[str], known: dict[str, Any]) -> float:
    """Seconds from a merge to new pods in production (docs/DELIVERY.md), approvals aside."""
    staging, production = (f"environments/{name}/values.yaml" for name in ("staging", "production"))
    commits = [([staging], False), ([staging], True), ([production], False)]
    checks = sum(end(PAGES, started(*commit), known) for commit in commits)
    signed = end(SIGNED, started(paths, True), known)
    return signed + PROMOTE + checks + PROMOTE + ASKED + CANARY


def counted(run: Seconds) -> int:
    """The minutes that GitHub counts."""
    return sum(math.ceil(seconds / 60) for seconds in run.values())


def main() -> None:
    known = jobs()
    columns = "counted for its pull request", "for its push", "the push takes", "to production"
    print(f"| a change of | {' | '.join(columns)} |")
    print("|---|---|---|---|---|")
    for what, paths in CHANGES.items():
        request, push = started(paths, on_main=False), started(paths, on_main=True)
        took = end(SIGNED if SIGNED in push else PAGES, push, known)
        there = math.ceil(to_production(paths, known) / 60) if SIGNED in push else "–"
        minutes = counted(request), counted(push), math.ceil(took / 60), there
        print(f"| {what} | {' | '.join(map(str, minutes))} |")


if __name__ == "__main__":
    main()
