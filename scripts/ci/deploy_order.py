#!/usr/bin/env python3
"""Says whether this commit may go to an environment: never an older one over a newer one.

Runs can overtake each other, for instance while one waits for approval. Asks GitHub for the last
successful deployment, and for which of the two commits came first. An overtaken one is refused:
GitHub would take a job that succeeds for a deployment of its commit.
"""

import os
from typing import Any
from urllib.parse import quote

import runner
from runner import Problem

# How many deployments to look back; the newest successful one is nearly always among the first two.
LOOK_BACK = 30


class Repository:
    """GitHub's view of a repository."""

    def __init__(self, name: str, token: str) -> None:
        self._url = f"{os.environ.get('GITHUB_API_URL', 'https://api.github.com')}/repos/{name}"
        self._token = token

    def get(self, path: str) -> Any:
        return runner.request(f"{self._url}/{path}", token=self._token, what="GitHub")

    def deployed(self, environment: str) -> str:
        """The commit of the newest deployment that succeeded, "" if none has."""
        query = f"environment={quote(environment)}&per_page={LOOK_BACK}"
        for deployment in self.get(f"deployments?{query}"):
            statuses = self.get(f"deployments/{deployment['id']}/statuses?per_page={LOOK_BACK}")
            # "inactive" is what a success becomes when a later deployment takes its place.
            if any(status["state"] == "success" for status in statuses):
                return str(deployment["sha"])
        return ""

    def relation(self, base: str, head: str) -> str:
        """How head stands to base: ahead, behind, identical or diverged."""
        return str(self.get(f"compare/{base}...{head}")["status"])


def decide(repository: Repository, environment: str, commit: str, force: bool) -> tuple[bool, str]:
    """Whether to go on, and why, in a sentence."""
    deployed = repository.deployed(environment)
    if not deployed:
        return True, f"Nothing has been deployed to {environment} before."
    relation = repository.relation(deployed, commit)
    if relation != "behind":
        return True, f"{environment} has {deployed[:12]}; {commit[:12]} is {relation}."
    if force:
        return (
            True,
            f"{environment} has {deployed[:12]}, which is newer; started by hand, so going back.",
        )
    return (
        False,
        f"{environment} already has the newer {deployed[:12]}, so {commit[:12]} stays out.",
    )


def main() -> int:
    parser = runner.parser(__doc__)
    parser.add_argument("--environment", required=True)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--event", default="push", help="workflow_dispatch may go back")
    arguments = parser.parse_args()
    if arguments.dry_run:
        return 0
    name = os.environ.get("GITHUB_REPOSITORY", "")
    if not name:
        raise Problem("GITHUB_REPOSITORY is not set, e.g. owner/name")
    repository = Repository(name, os.environ.get("GITHUB_TOKEN", ""))
    force = arguments.event == "workflow_dispatch"
    go, why = decide(repository, arguments.environment, arguments.commit, force)
    runner.summarise(why)
    runner.output(overtaken=str(not go).lower())
    if not go:
        raise Problem(why)
    return 0


if __name__ == "__main__":
    runner.run(main)
