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
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from command_error import CommandError, output_of, run

VERIFY = Path(__file__).resolve().parents[1] / "ci" / "verify-signature.sh"
# Argo CD reads the files as YAML. Other forms of these lines could mean another image there.
KEY = re.compile(r"([A-Za-z]+):( .*)?")
FIELD = re.compile(r"""  ([A-Za-z]+): *(?:("?)([\w./:-]*)\2|\[[^]["'#]*\])""")
FORMS = {
    "repository": r"[\w./:-]+",
    "tag": r"(sha-[0-9a-f]{40})?",
    "digest": r"(sha256:[0-9a-f]{64})?",
}
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


def read(text: str) -> Image | None:
    """The image that a file of values names; None unless written as the pipeline writes it."""
    lines = [line for line in text.splitlines() if line.strip(" ") and line.lstrip(" ")[0] != "#"]
    keys = [KEY.fullmatch(line) for line in lines if line[0] != " "]
    if (
        "image:" not in lines
        or lines[0][0] == " "
        or len({key and key[1] for key in keys}) < len(keys)
        or None in keys
    ):
        return None
    block = takewhile(lambda line: line[0] == " ", lines[lines.index("image:") + 1 :])
    found = [FIELD.fullmatch(line) for line in block]
    fields = {field[1]: field[3] or "" for field in found if field}
    if len(fields) < len(found) or not all(
        re.fullmatch(form, fields.get(name, "missing")) for name, form in FORMS.items()
    ):
        return None
    return Image(*(fields[name] for name in Image._fields))


def named(environment: str) -> Image:
    """The image that an environment runs; no names in it if there is no such environment."""
    path = path_of(environment)
    if not path.exists():
        return Image("", "", "")
    image = read(path.read_text(encoding="utf-8"))
    if not image:
        raise CommandError(
            f"{path} must name its image as the pipeline does: repository, tag and digest under"
            " `image:`, each once, without comments behind them, and no key of the file in quotes"
        )
    return image


def write(environment: str, image: Image) -> None:
    named(environment)  # the lines are there
    path = path_of(environment)
    lines = path.read_text(encoding="utf-8").split("\n")
    start = lines.index("image:")
    for name, value in image._asdict().items():
        at = next(
            at for at, line in enumerate(lines) if at > start and line.startswith(f"  {name}:")
        )
        lines[at] = f"  {name}: {value}"
    path.write_text("\n".join(lines), encoding="utf-8")


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
    if changed and staging.tag and staging != production and path_of("production").exists():
        request("production", ("production",), staging, production)


def request(target: str, environments: tuple[str, ...], image: Image, before: Image) -> None:
    """Open a pull request, or bring the open one up to date."""
    environments = tuple(name for name in environments if path_of(name).exists())
    if not environments:
        return
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
    commits = output_of(
        "git", "log", "--diff-filter=AM", "--format=%H", "origin/main", "--", path
    ).split()
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
