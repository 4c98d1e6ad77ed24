"""The command line of scripts/deploy.sh."""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

from . import ROOT
from .gate import Limits

USAGE = """\
Puts a version of the service into service without dropping a request.

  ./scripts/deploy.sh                              build this clone and deploy that
  ./scripts/deploy.sh --image devops-starter:1.4.0 deploy that image
  ./scripts/deploy.sh --image ghcr.io/you/app@sha256:… --strategy canary
  ./scripts/deploy.sh --rollback                   back to the version before

The new version starts beside the old one and is tested before it gets requests. Whatever goes
wrong, and Ctrl-C too, puts the old one back. The engine is the one that DOCKER_HOST or the context
names. docs/DEPLOYMENT.md tells more."""

EPILOG = """\
exit status: 0 in service; 1 refused or rolled back, the old version serves; 2 wrong usage;
3 neither could be completed: the last lines say what is left to do"""

WATCH_SECONDS = {"blue-green": 20.0, "canary": 60.0}


@dataclass(frozen=True)
class Options:  # pylint: disable=too-many-instance-attributes
    """What was asked for."""

    action: str
    """deploy, rollback, recover or history"""
    image: str | None
    strategy: str
    dry_run: bool
    context: str | None
    env_file: Path | None
    watch_seconds: float
    health_seconds: float
    limits: Limits

    @property
    def settings(self) -> Path:
        return self.env_file or ROOT / "infrastructure" / ".env"


def parse(arguments: list[str]) -> Options:
    """Read the arguments; a wrong one ends the program with one line and status 2."""
    parser = _Parser(
        prog="./scripts/deploy.sh",
        description=USAGE,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--image", metavar="REF", help="name:tag or name@sha256:…; without it the clone is built")
    add("--strategy", choices=WATCH_SECONDS, help="at once (default), or by 10, 50 and 100 %%")
    add("--rollback", action="store_true", help="go back to the version that was in service before")
    add("--dry-run", action="store_true", help="print the plan and change nothing")
    add("--history", action="store_true", help="print who deployed what, when, and how it ended")
    add("--recover", action="store_true", help="clear up after a deploy that was cut off")
    add("--context", metavar="NAME", help="the Docker context to deploy to")
    add("--env-file", metavar="FILE", type=Path, help="settings other than infrastructure/.env")
    add("--step-seconds", metavar="N", type=_number(1), help="watch each step (canary 60, else 20)")
    add("--health-seconds", metavar="N", type=_number(1), default=120.0, help="to start (120)")
    add("--max-error-ratio", metavar="R", type=_number(0, 1), default=0.01, help="0 to 1 (0.01)")
    add("--max-p99-ms", metavar="N", type=_number(1), default=1000.0, help="milliseconds (1000)")
    add("--min-requests", metavar="N", type=_number(0), default=20.0, help="to judge by (20)")
    found = parser.parse_args(arguments)
    actions = [name for name in ("rollback", "history", "recover") if getattr(found, name)]
    if len(actions) > 1:
        parser.error(f"--{actions[0]} and --{actions[1]} exclude each other")
    action = actions[0] if actions else "deploy"
    if action != "deploy":
        given = [name for name in ("image", "strategy") if getattr(found, name)]
        if given:
            parser.error(f"--{given[0]} means nothing with --{action}")
    if found.dry_run and action in ("history", "recover"):
        parser.error(f"--dry-run means nothing with --{action}")
    if found.env_file and not found.env_file.is_file():
        parser.error(f"--env-file: there is no file {found.env_file}")
    strategy = found.strategy or "blue-green"
    # A version that has been in service needs no proof, and must not be refused for an outage that
    # it is to end.
    watch = 0.0 if action == "rollback" else found.step_seconds or WATCH_SECONDS[strategy]
    return Options(
        action=action,
        image=found.image,
        strategy=strategy,
        dry_run=found.dry_run,
        context=found.context,
        env_file=found.env_file.resolve() if found.env_file else None,
        watch_seconds=watch,
        health_seconds=found.health_seconds,
        limits=Limits(found.max_error_ratio, found.max_p99_ms, int(found.min_requests)),
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"error: {message}; ./scripts/deploy.sh --help lists the options\n")


class _number:
    """A number within bounds, as argparse takes types."""

    def __init__(self, least: float, most: float = math.inf) -> None:
        self._least, self._most = least, most

    def __call__(self, text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (self._least <= number <= self._most and math.isfinite(number)):
            most = "" if self._most == math.inf else f" to {self._most:g}"
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {self._least:g}{most}")
        return number
