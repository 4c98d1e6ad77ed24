#!/usr/bin/env python3
"""Check that every job succeeded, or was skipped as the plan allows.

NEEDS holds the jobs' results as GitHub gives them, toJSON(needs); MAY_SKIP the names of the jobs
that may be skipped, separated by spaces.
"""

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "lib"))
# pylint: disable=wrong-import-position
from command_error import CommandError, run  # noqa: E402


def failures(needs: dict[str, dict[str, str]], may_skip: list[str]) -> list[str]:
    """One text for each job that neither succeeded nor was skipped as allowed."""
    return [
        f"{name}: {job['result']}"
        for name, job in needs.items()
        if job["result"] != "success" and not (job["result"] == "skipped" and name in may_skip)
    ]


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__,
        epilog="Exit status: 0 all as it should be, 1 not (the last line says why).",
        formatter_class=argparse.RawTextHelpFormatter,
    ).parse_args()
    try:
        needs = json.loads(os.environ.get("NEEDS", ""))
    except ValueError as error:
        raise CommandError("NEEDS must hold JSON, from ${{ toJSON(needs) }}") from error
    if not needs:
        raise CommandError("NEEDS names no job, so nothing was checked")
    if wrong := failures(needs, os.environ.get("MAY_SKIP", "").split()):
        raise CommandError(f"not every required job succeeded: {', '.join(wrong)}")
    print("Every required job succeeded.")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
