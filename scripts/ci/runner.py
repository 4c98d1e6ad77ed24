"""What a step tells the machine that runs it: summary, outputs, one clear line on failure.

On GitHub these go to the files it names; on a developer's machine to the terminal.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

API_SECONDS = 20
USER_AGENT = "devops-starter-ci"
EXIT_STATUS = (
    "Exit status: 0 done, 1 refused or failed (the last line says why), 2 wrong arguments."
)


class Problem(Exception):
    """Something the reader can do something about; the text is one line."""


def summarise(markdown: str) -> None:
    """Add a paragraph to the run's summary page."""
    _append("GITHUB_STEP_SUMMARY", f"{markdown}\n\n")


def output(**values: str) -> None:
    """Hand values to later steps; a line break in one cannot start a second value."""
    for key, value in values.items():
        name = key.replace("_", "-")
        if "GITHUB_OUTPUT" in os.environ:
            border = uuid.uuid4().hex
            value = f"<<{border}\n{value}\n{border}"
        else:
            value = f"={value}"
        _append("GITHUB_OUTPUT", f"{name}{value}\n")


def _append(variable: str, text: str) -> None:
    path = os.environ.get(variable)
    if not path:
        sys.stdout.write(text)
        return
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def request(
    url: str,
    *,
    body: dict[str, Any] | None = None,
    token: str = "",
    what: str,
    seconds: float = API_SECONDS,
) -> Any:
    """GET, or POST when there is a body; the JSON of the answer, or None if it has none.

    Args:
        what: names the other side in an error, since its URL may be a secret.

    Raises:
        Problem: it could not be reached, or did not answer with success.
    """
    if not url.startswith(("http://", "https://")):
        raise Problem(f"{what}: the URL must start with https:// (or http:// for a test)")
    headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(body).encode()
    call = urllib.request.Request(url, data=data, headers=headers)
    try:
        with urllib.request.urlopen(call, timeout=seconds) as answer:  # nosec B310
            content = answer.read()
    except urllib.error.HTTPError as error:
        raise Problem(f"{what} answered {error.code} {error.reason}") from error
    except OSError as error:
        raise Problem(f"{what} could not be reached: {getattr(error, 'reason', error)}") from error
    try:
        return json.loads(content) if content.strip() else None
    except ValueError:
        return None


def parser(
    description: str | None, dry_run: str = "check the arguments and stop"
) -> argparse.ArgumentParser:
    """The start of every program here: its help, and --dry-run."""
    begun = argparse.ArgumentParser(
        description=description,
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    begun.add_argument("--dry-run", action="store_true", help=dry_run)
    return begun


@contextmanager
def environment() -> Iterator[None]:
    """Around imports of packages that the project's environment has and this Python may lack."""
    try:
        yield
    except ModuleNotFoundError as error:
        if {"-h", "--help"} & set(sys.argv):
            return  # the parser ends the program before it misses them
        program = Path(sys.argv[0]).name
        print(
            f"error: {error.name} is not installed for this Python:"
            f" ./scripts/ci/tool.sh python scripts/ci/{program}",
            file=sys.stderr,
        )
        sys.exit(1)


def run(main: Callable[[], int]) -> None:
    """Run a program's main function; a Problem is one line on stderr and exit status 1."""
    try:
        sys.exit(main())
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            print(f"::error::{str(problem).replace('%', '%25')}")
        sys.exit(1)
