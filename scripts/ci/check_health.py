#!/usr/bin/env python3
"""Wait until a deployment answers from outside: healthy, and with the commit just deployed."""

import argparse
import json
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "lib"))
# pylint: disable=wrong-import-position
from command_error import CommandError, run  # noqa: E402

PAUSE_SECONDS = 2.0
REQUEST_SECONDS = 5.0


def get(url: str) -> Any:
    """The JSON of an answer; CommandError if there is none."""
    try:
        with urllib.request.urlopen(url, timeout=REQUEST_SECONDS) as answer:  # nosec B310
            return json.load(answer)
    except (OSError, ValueError) as error:
        raise CommandError(f"{url}: {getattr(error, 'reason', error)}") from error


def problem_with(base_url: str, commit: str) -> str:
    """What is still wrong, or "" when the deployment is as it should be."""
    try:
        status = get(f"{base_url}/health").get("status")
        running = str(get(f"{base_url}/api/v1/info").get("commit") or "")
    except (CommandError, AttributeError) as error:
        return str(error)
    if status != "healthy":
        return f"/health says {status}"
    if not running or not (commit.startswith(running) or running.startswith(commit)):
        return f"it runs commit {running or 'unknown'}, not {commit}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Exit status: 0 healthy, or no URL; 1 not (the last line says why).",
    )
    parser.add_argument("--url", required=True, help="https://example.org; empty skips the check")
    parser.add_argument("--commit", required=True, help="the one that must answer")
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS")
    arguments = parser.parse_args()
    base_url = arguments.url.rstrip("/")
    if not base_url:
        print("The check from outside is skipped: the variable DEPLOY_URL is not set.")
        return 0
    if not base_url.startswith(("http://", "https://")):
        raise CommandError("--url must start with https:// (or http://)")
    deadline = time.monotonic() + arguments.timeout
    while wrong := problem_with(base_url, arguments.commit):
        if time.monotonic() >= deadline:
            raise CommandError(f"{base_url} is not ready after {arguments.timeout:g} s: {wrong}")
        time.sleep(min(PAUSE_SECONDS, arguments.timeout / 10))
    print(f"{base_url} is healthy and runs {arguments.commit}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
