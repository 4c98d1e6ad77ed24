"""How long a push takes to a signed image, and how many minutes GitHub counts for it.

Run: python scripts/lib/pipeline_minutes.py. The table beside it has the seconds of each job; what a
job waits for is read from the workflows.
GitHub rounds each job's time up to minutes. They are counted in private repositories only, whose
machines have two processors, as the one that was measured; those of public ones have four.
"""

import csv
import math
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_suffix(".tsv")
# A machine starts, the first action is loaded, files are checked out: seconds, an estimate.
BEFORE = 20
# Where a push ends, for its author.
SIGNED, PAGES = "ci-cd/publish", "ci-cd/required"
Seconds = dict[str, list[float]]


def measured() -> Seconds:
    """The seconds of each job, one number for each of a matrix."""
    found: Seconds = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            found.setdefault(row["job"], []).append(BEFORE + float(row["seconds"]))
    return found


def jobs() -> dict[str, Any]:
    """Of the pipeline and of the workflow that it calls for the image."""
    found = {}
    for name in ("ci-cd", "docker-build"):
        path = ROOT / ".github" / "workflows" / f"{name}.yml"
        for job, data in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].items():
            found[f"{name}/{job}"] = data
    return found


def end(job: str, run: Seconds, known: dict[str, Any]) -> float:
    """Seconds from the push to the end of a job; 0 for one that does not run."""
    if job == "ci-cd/image":
        start = end("ci-cd/plan", run, known)
        return start + max(end(one, run, known) for one in known if one.startswith("docker-build/"))
    if job not in run:
        return 0
    workflow = job.partition("/")[0]
    needs = [f"{workflow}/{name}" for name in known[job].get("needs", [])]
    return max((end(one, run, known) for one in needs), default=0) + max(run[job])


def counted(run: Seconds) -> int:
    """The minutes that GitHub counts."""
    return sum(math.ceil(seconds / 60) for one in run.values() for seconds in one)


def numbers() -> dict[str, float]:
    """Minutes, by what they are."""
    known, every = jobs(), measured()
    pages = {job: every[job] for job in ("ci-cd/plan", "ci-cd/pages", "ci-cd/required")}
    push = {job: seconds for job, seconds in every.items() if job != "ci-cd/pages"}
    return {
        "from a push to the signed image": end(SIGNED, push, known) / 60,
        "counted for it": counted(push),
        "from a push of pages to its end": end(PAGES, pages, known) / 60,
    }


def main() -> None:
    for what, minutes in numbers().items():
        print(f"{minutes:5.1f} minutes {what}")


if __name__ == "__main__":
    main()
