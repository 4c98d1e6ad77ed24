#!/usr/bin/env python3
"""Decides what a pipeline run does, and says why in its summary.

The one place that knows which branch goes to which environment. Without GitHub, ask it:
scripts/ci/plan.py --event push --branch main --environments "staging production"
"""

import argparse
import os
import re
from dataclasses import dataclass, field

import release
import runner

# A push to this branch is deployed to this environment; docs/CI-CD.md shows the same table.
BRANCH_ENVIRONMENTS = {"develop": "staging", "main": "production"}
RELEASE_BRANCH = "main"
# Where there is no GitHub to say which repository it is.
LOCAL_REPOSITORY = "local/devops-starter"
# Events whose code a maintainer has put into the repository; never a pull request.
TRUSTED_EVENTS = ("push", "workflow_dispatch")


@dataclass
class Situation:  # pylint: disable=too-many-instance-attributes
    """What is known when a run starts."""

    event: str
    branch: str
    commit: str
    repository: str
    visibility: str
    # The environments the repository variable DEPLOY_ENVIRONMENTS names.
    environments: list[str]
    # The version this commit releases, or "".
    released: str
    build_version: str


@dataclass
class Plan:  # pylint: disable=too-many-instance-attributes
    """What the run does; the fields are the outputs of the plan job."""

    version: str
    image: str
    tags: str = ""
    publish: bool = False
    attest: bool = False
    code_scanning: bool = False
    environment: str = ""
    release: str = ""
    release_tags: str = ""
    reasons: list[tuple[str, bool, str]] = field(default_factory=list)


def make(now: Situation) -> Plan:
    plan = Plan(version=now.build_version, image=f"ghcr.io/{now.repository.lower()}")
    trusted = now.event in TRUSTED_EVENTS
    environment = BRANCH_ENVIRONMENTS.get(now.branch, "")
    public = now.visibility == "public"

    plan.publish = trusted and bool(environment)
    if plan.publish:
        plan.tags = f"{now.branch} sha-{now.commit[:12]}"
    branches = " and ".join(BRANCH_ENVIRONMENTS)
    why = f"as {plan.tags.replace(' ', ', ')}" if plan.publish else _untrusted(now, branches)
    plan.reasons.append(("Push, sign", plan.publish, why))

    plan.attest = plan.publish and public
    if plan.publish:
        why = "" if public else "GitHub offers attestations to public repositories only"
        plan.reasons.append(("Attest provenance and SBOM", plan.attest, why))

    plan.code_scanning = public and now.event != "pull_request"
    why = "findings go to code scanning"
    if not plan.code_scanning:
        why = "not for pull requests" if public else "code scanning needs a public repository"
        why += "; findings are in this summary and the artifacts, CodeQL and Scorecard are left out"
    plan.reasons.append(("Upload findings", plan.code_scanning, why))

    wanted = plan.publish and environment in now.environments
    plan.environment = environment if wanted else ""
    plan.reasons.append(("Deploy", wanted, _deploy_reason(now, plan, environment)))

    releasing = plan.publish and now.branch == RELEASE_BRANCH and bool(now.released)
    if releasing:
        plan.release = now.released
        plan.release_tags = " ".join(release.image_tags(now.released))
    why = f"v{now.released}" if releasing else "this commit is no release (scripts/ci/release.py)"
    plan.reasons.append(("Release", releasing, why))
    return plan


def _untrusted(now: Situation, branches: str) -> str:
    if now.event not in TRUSTED_EVENTS:
        return f"a {now.event.replace('_', ' ')} is built and tested, never published"
    return f"only {branches} are published, this is {now.branch or 'no branch'}"


def _deploy_reason(now: Situation, plan: Plan, environment: str) -> str:
    if plan.environment:
        return f"{now.branch} goes to {plan.environment}"
    if not plan.publish:
        return "nothing was published"
    return f"the repository variable DEPLOY_ENVIRONMENTS does not name {environment}"


def describe(plan: Plan) -> str:
    lines = [f"## Plan for {plan.version}", "", "| step | runs | why |", "| --- | --- | --- |"]
    lines += [
        f"| {step} | {'yes' if runs else 'skipped'} | {why} |" for step, runs, why in plan.reasons
    ]
    return "\n".join(lines)


def parse_arguments() -> argparse.Namespace:
    env = os.environ.get
    reference = env("GITHUB_REF", "")
    branch = reference.removeprefix("refs/heads/") if reference.startswith("refs/heads/") else ""
    parser = runner.parser(__doc__, "the same: planning changes nothing")
    parser.add_argument("--event", default=env("GITHUB_EVENT_NAME", "push"))
    parser.add_argument("--branch", default=branch, help="empty for anything but a branch")
    parser.add_argument("--repository", default=env("GITHUB_REPOSITORY", LOCAL_REPOSITORY))
    parser.add_argument("--visibility", default=env("REPOSITORY_VISIBILITY", "private"))
    parser.add_argument(
        "--environments",
        default=env("DEPLOY_ENVIRONMENTS", ""),
        help="those that exist, separated by spaces or commas",
    )
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    repository = release.Repository(release.ROOT)
    plan = make(
        Situation(
            event=arguments.event,
            branch=arguments.branch,
            commit=repository.git("rev-parse", "HEAD"),
            repository=arguments.repository,
            visibility=arguments.visibility,
            environments=[name for name in re.split(r"[\s,]+", arguments.environments) if name],
            released=repository.released_version(),
            build_version=repository.build_version(),
        )
    )
    runner.summarise(describe(plan))
    runner.output(
        version=plan.version,
        image=plan.image,
        tags=plan.tags,
        publish=str(plan.publish).lower(),
        attest=str(plan.attest).lower(),
        code_scanning=str(plan.code_scanning).lower(),
        environment=plan.environment,
        release=plan.release,
        release_tags=plan.release_tags,
    )
    return 0


if __name__ == "__main__":
    runner.run(main)
