"""The error of every script: something the user can correct, told in one line."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


class CommandError(Exception):
    """The text is one line, for the person who ran the command."""


def output_of(*command: str | Path, where: Path | None = None) -> str:
    """What a program prints; CommandError with its last line if it fails."""
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["failed"])[-1]
        raise CommandError(f"{Path(command[0]).name} {command[1]}: {last}")
    return done.stdout.strip()


def run(main: Callable[[], int | None], *, failure: int = 1) -> int:
    """Run a script's main function and return its exit status.

    A CommandError, an OSError or a failed subprocess is printed as one line, `error: …`.

    Args:
        main: returns an exit status; None is success.
        failure: the exit status of an error.
    """
    try:
        return main() or 0
    except (CommandError, OSError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return failure
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
