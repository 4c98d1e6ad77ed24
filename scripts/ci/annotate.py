#!/usr/bin/env python3
"""Marks a deployment on Grafana's dashboards. Needs GRAFANA_URL, and GRAFANA_TOKEN of a service
account that may write annotations."""

import os

import runner


def main() -> int:
    parser = runner.parser(__doc__, "print the annotation, send nothing")
    parser.add_argument("--environment", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--commit", required=True)
    arguments = parser.parse_args()
    url = os.environ.get("GRAFANA_URL", "").rstrip("/")
    token = os.environ.get("GRAFANA_TOKEN", "")
    annotation = {
        "text": f"{arguments.version} to {arguments.environment} ({arguments.commit[:12]})",
        "tags": ["deploy", arguments.environment, arguments.version],
    }
    if arguments.dry_run:
        print(annotation)
    elif not url or not token:
        runner.summarise(
            "The mark on the dashboards is skipped:"
            " the variable GRAFANA_URL or the secret GRAFANA_TOKEN is not set."
        )
    else:
        runner.request(f"{url}/api/annotations", body=annotation, token=token, what="Grafana")
    return 0


if __name__ == "__main__":
    runner.run(main)
