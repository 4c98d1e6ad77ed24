#!/usr/bin/env python3
"""The one check that branch protection asks for: did every job that had to run succeed?

Reads the jobs' results as GitHub gives them, `toJSON(needs)`, from the variable NEEDS.
"""

import json
import os

import runner
from runner import Problem


def failures(needs: dict[str, dict[str, str]], may_skip: list[str]) -> list[str]:
    """One text for each job that is in the way. A job that was skipped has proven nothing."""
    allowed = {name: ("success", "skipped") if name in may_skip else ("success",) for name in needs}
    return [
        f"{name}: {job['result']}"
        for name, job in needs.items()
        if job["result"] not in allowed[name]
    ]


def main() -> int:
    parser = runner.parser(__doc__)
    parser.add_argument("--may-skip", action="append", default=[], metavar="JOB")
    arguments = parser.parse_args()
    if arguments.dry_run:
        return 0
    try:
        needs = json.loads(os.environ.get("NEEDS", ""))
    except ValueError as error:
        raise Problem(
            "NEEDS must hold the jobs' results as JSON, from ${{ toJSON(needs) }}"
        ) from error
    if not needs:
        raise Problem("NEEDS names no job, so there is nothing to pass")
    wrong = failures(needs, arguments.may_skip)
    if wrong:
        raise Problem(f"not every required job succeeded: {', '.join(wrong)}")
    print(f"All {len(needs)} required jobs succeeded.")
    return 0


if __name__ == "__main__":
    runner.run(main)
