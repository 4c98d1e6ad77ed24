#!/usr/bin/env python3
"""Writes down a deployment: who, what, when and how it ended, as JSON and in the run's summary."""

import argparse
import datetime
import json
import os
from pathlib import Path

import runner

OUTCOMES = ("success", "failure", "cancelled", "skipped", "")


def result(deploy: str, health: str, rollback: str) -> str:
    """One word from the outcomes of the three steps, as GitHub words them ("" = never reached)."""
    if rollback == "success":
        return "rolled back"
    if rollback == "failure":
        return "rollback failed"
    if deploy == "success":
        return (
            "deployed" if health in ("success", "skipped", "") else "failed its check from outside"
        )
    if deploy == "failure":
        return "failed"
    return "not deployed"


def parse_arguments() -> argparse.Namespace:
    parser = runner.parser(__doc__)
    parser.add_argument("--environment", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--actor", required=True)
    parser.add_argument("--url", default="", help="where it can be seen")
    for step in ("deploy", "health", "rollback"):
        parser.add_argument(f"--{step}", default="", choices=OUTCOMES, help="outcome of that step")
    parser.add_argument("--output", type=Path, default=Path(".run/deployment.json"))
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    if arguments.dry_run:
        return 0
    env = os.environ.get
    run = env("GITHUB_RUN_ID", "")
    if run:
        run = f"{env('GITHUB_SERVER_URL')}/{env('GITHUB_REPOSITORY')}/actions/runs/{run}"
    record = {
        "environment": arguments.environment,
        "result": result(arguments.deploy, arguments.health, arguments.rollback),
        "version": arguments.version,
        "image": arguments.image,
        "commit": arguments.commit,
        "actor": arguments.actor,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "url": arguments.url,
        "run": run,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    rows = [f"| {name} | {value} |" for name, value in record.items() if value]
    title = f"## {record['environment']}: {record['result']}"
    runner.summarise("\n".join([title, "", "| | |", "| --- | --- |", *rows]))
    return 0


if __name__ == "__main__":
    runner.run(main)
