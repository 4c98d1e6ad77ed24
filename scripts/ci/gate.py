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


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__,
        epilog="Exit status: 0 all as it should be, 1 not (the last line says why).",
        formatter_class=argparse.RawTextHelpFormatter,
    ).parse_args()
    may_skip = os.environ.get("MAY_SKIP", "").split()
    try:
        results = {name: job["result"] for name, job in json.loads(os.environ["NEEDS"]).items()}
    except (KeyError, ValueError) as error:
        raise CommandError("NEEDS must hold JSON, from ${{ toJSON(needs) }}") from error
    wrong = [
        f"{name}: {result}"
        for name, result in results.items()
        if result != "success" and not (result == "skipped" and name in may_skip)
    ]
    if wrong or not results:
        raise CommandError(f"not every required job succeeded: {', '.join(wrong) or 'none ran'}")
    print("Every required job succeeded.")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
