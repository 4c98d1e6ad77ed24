#!/usr/bin/env python3
"""Carry an image to the next environment: environments/NAME/values.yaml names what each runs.

propose  open a pull request that gives the image of this run (IMAGE, DIGEST and GITHUB_SHA) to
         development and staging, and, if this commit has changed staging, one that gives staging's
         image to production; an older image never replaces a newer one in staging
check    refuse production's image if staging never ran it on origin/main, or ci-cd.yml did not sign
         it on main for the commit that its tag names

propose needs gh (GH_TOKEN); check needs cosign, logged in to the registry; both git's history.
Exit status: 0 done, 1 refused or failed (the last line says why).
"""

import os
import re
import subprocess
import sys
from argparse import ArgumentParser, RawTextHelpFormatter
from pathlib import Path
from typing import NamedTuple

from command_error import CommandError, output_of, run

VERIFY = Path(__file__).resolve().parents[1] / "ci" / "verify-signature.sh"
FIELD = re.compile(r"^  (repository|tag|digest): *\"?([^\"\s]*)\"?$", re.MULTILINE)
BOT = (
    *("-c", "user.name=github-actions[bot]"),
    *("-c", "user.email=41898282+github-actions[bot]@users.noreply.github.com"),
)


class Image(NamedTuple):
    """As a file of values names it. The tag is sha-COMMIT: the chart is that commit's too."""

    repository: str
    tag: str
    digest: str

    @property
    def commit(self) -> str:
        return self.tag.removeprefix("sha-")


def path_of(environment: str) -> Path:
    return Path("environments") / environment / "values.yaml"


def read(text: str) -> Image:
    """The image that a file of values names."""
    fields = dict(FIELD.findall(text))
    return Image(*(fields.get(name, "") for name in Image._fields))


def named(environment: str) -> Image:
    return read(path_of(environment).read_text(encoding="utf-8"))


def write(environment: str, image: Image) -> None:
    path = path_of(environment)
    text = FIELD.sub(
        lambda found: f"  {found[1]}: {getattr(image, found[1])}", path.read_text(encoding="utf-8")
    )
    if read(text) != image:
        raise CommandError(f"{path} has no lines for repository, tag and digest of an image")
    path.write_text(text, encoding="utf-8")


def contains(newer: str, older: str) -> bool:
    """Whether a commit has the other one in its history."""
    command = ["git", "merge-base", "--is-ancestor", older, newer]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def propose() -> None:
    """Requests begin at the newest main, whatever this run was started for."""
    started = os.environ["GITHUB_SHA"]
    output_of("git", "fetch", "--quiet", "origin", "main")
    output_of("git", "switch", "--quiet", "--detach", "origin/main")
    staging, production = named("staging"), named("production")
    image = Image(os.environ.get("IMAGE", ""), f"sha-{started}", os.environ.get("DIGEST", ""))
    if image.digest and contains(staging.commit, started):
        print(f"Staging runs {staging.commit[:12]} already, which is not older.")
    elif image.digest:
        request("staging", ("development", "staging"), image, staging)
    changed = output_of(
        "git", "diff", "--name-only", f"{started}^", started, "--", path_of("staging")
    )
    if changed and staging.tag and staging != production:
        request("production", ("production",), staging, production)


def request(target: str, environments: tuple[str, ...], image: Image, before: Image) -> None:
    """Open a pull request, or bring the open one up to date."""
    branch, title = f"promote/{target}", f"chore({target}): run {image.commit[:12]}"
    output_of("git", "switch", "--quiet", "--force-create", branch, "origin/main")
    for environment in environments:
        write(environment, image)
    output_of("git", *BOT, "commit", "--quiet", "--all", "--message", title)
    output_of("git", "push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
    since = (f"^{before.commit}",) if contains(image.commit, before.commit) else ("-1",)
    log = output_of("git", "log", "--max-count=50", "--format=- %h %s", image.commit, *since)
    body = f"`{image.repository}@{image.digest}`. To roll back, revert this.\n\n{log}"
    number = ("--json", "number", "--jq", ".[].number")
    opened = output_of("gh", "pr", "list", "--head", branch, *number)
    what = ("edit", opened) if opened else ("create", "--base", "main", "--head", branch)
    print(output_of("gh", "pr", *what, "--title", title, "--body", body))
    if target == "staging":
        try:
            output_of("gh", "pr", "merge", "--auto", "--squash", branch)
        except CommandError as error:
            print(f"It waits for a person to merge it: {error}")


def check() -> None:
    image, path = named("production"), path_of("staging")
    if not image.tag and not image.digest:
        print("Production runs no image yet.")
        return
    commits = output_of("git", "log", "--format=%H", "origin/main", "--", path).split()
    if image not in (read(output_of("git", "show", f"{commit}:{path}")) for commit in commits):
        raise CommandError(f"staging never ran {image.repository}:{image.tag}@{image.digest}")
    name = f"{image.repository}@{image.digest}"
    print(output_of(VERIFY, "--image", name, "--commit", image.commit))


def main() -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=RawTextHelpFormatter)
    parser.add_argument("command", choices=["propose", "check"])
    {"propose": propose, "check": check}[parser.parse_args().command]()


if __name__ == "__main__":
    sys.exit(run(main))
