#!/usr/bin/env python3
"""Waits until a deployment answers from outside: healthy, and with the commit just deployed."""

import time

import runner
from runner import Problem

PAUSE_SECONDS = 2.0
REQUEST_SECONDS = 5.0


def problem_with(base_url: str, commit: str) -> str:
    """What is still wrong, or "" when the deployment is as it should be."""
    try:
        health = runner.request(f"{base_url}/health", what="/health", seconds=REQUEST_SECONDS)
        info = runner.request(
            f"{base_url}/api/v1/info", what="/api/v1/info", seconds=REQUEST_SECONDS
        )
    except Problem as problem:
        return str(problem)
    if not isinstance(health, dict) or health.get("status") != "healthy":
        status = health.get("status") if isinstance(health, dict) else "not JSON"
        return f"/health says {status}"
    running = str(info.get("commit", "")) if isinstance(info, dict) else ""
    if not running or not (commit.startswith(running) or running.startswith(commit)):
        return f"it runs commit {running or 'unknown'}, not {commit}"
    return ""


def wait(base_url: str, commit: str, seconds: float) -> None:
    """Raises Problem with the last thing that was wrong."""
    deadline = time.monotonic() + seconds
    while True:
        wrong = problem_with(base_url, commit)
        if not wrong:
            return
        if time.monotonic() >= deadline:
            raise Problem(f"{base_url} is not in order after {seconds:g} s: {wrong}")
        time.sleep(min(PAUSE_SECONDS, seconds / 10))


def main() -> int:
    parser = runner.parser(__doc__)
    parser.add_argument(
        "--url", required=True, help="e.g. https://example.org; empty skips the check"
    )
    parser.add_argument(
        "--commit", required=True, help="the one that must answer, whole or shortened"
    )
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS")
    arguments = parser.parse_args()
    if arguments.dry_run:
        return 0
    base_url = arguments.url.rstrip("/")
    if not base_url:
        runner.summarise("The check from outside is skipped: the variable DEPLOY_URL is not set.")
        return 0
    wait(base_url, arguments.commit, arguments.timeout)
    print(f"{base_url} is healthy and runs {arguments.commit}")
    return 0


if __name__ == "__main__":
    runner.run(main)
