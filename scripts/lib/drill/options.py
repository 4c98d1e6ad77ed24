"""The command line of scripts/drill.sh."""

import argparse
import os
from pathlib import Path

from . import ROOT, Problem
from .drills import DRILLS
from .stack import Stack

DESCRIPTION = """\
Breaks the running stack on purpose, follows the alert through Prometheus and Alertmanager, mends
what was broken and waits for the alert to end. Ctrl-C mends it too.
"""
EPILOG = """\
Addresses follow HTTP_PORT, PROMETHEUS_PORT and ALERTMANAGER_PORT, from the environment or
infrastructure/.env.

exit status: 0 the alert fired and ended; 1 it did not; 2 the drill could not be held; 130 Ctrl-C
"""


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options; wrong ones end the program with a line and status 2."""
    settings = _env_file() | os.environ
    width = max(map(len, DRILLS))
    drills = "\n".join(f"  {name:{width}}  {drill.what}" for name, drill in DRILLS.items())
    parser = argparse.ArgumentParser(
        prog="drill.sh",
        description=f"{DESCRIPTION}\ndrills:\n{drills}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def local(variable: str, port: int) -> str:
        return f"http://127.0.0.1:{settings.get(variable) or port}"

    parser.add_argument("name", choices=DRILLS, metavar="NAME", help="one of the drills above")
    for option, default in (
        ("--url", local("HTTP_PORT", 8080)),
        ("--prometheus", local("PROMETHEUS_PORT", 9090)),
        ("--alertmanager", local("ALERTMANAGER_PORT", 9093)),
    ):
        parser.add_argument(option, default=default, metavar="URL", help=f"default {default}")
    parser.add_argument(
        "--token-file",
        type=Path,
        default=ROOT / "infrastructure" / "secrets" / "api_token",
        metavar="FILE",
        help="holds one of API_TOKENS; default infrastructure/secrets/api_token",
    )
    project = settings.get("COMPOSE_PROJECT_NAME") or "devops-starter"
    parser.add_argument("--project", default=project, help=f"Compose project; default {project}")
    parser.add_argument(
        "--rate", type=float, default=20, metavar="N", help="requests a second; default 20"
    )
    parser.add_argument(
        "--recovery-rate",
        type=float,
        metavar="N",
        help="requests a second once it is mended; default as before. More of them thin the errors "
        "of the last five minutes out sooner",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=900,
        metavar="SECONDS",
        help="how long to wait for the alert to fire, and again for it to end; default 900",
    )
    return parser.parse_args(arguments)


def stack(options: argparse.Namespace) -> Stack:
    """The stack that the options name."""
    try:
        token = options.token_file.read_text(encoding="utf-8").split()[0]
    except (OSError, IndexError):
        raise Problem(
            f"{options.token_file} holds no token; name its file with --token-file"
        ) from None
    return Stack(options.url, options.prometheus, options.alertmanager, options.project, token)


def _env_file() -> dict[str, str]:
    path = ROOT / "infrastructure" / ".env"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs if name.strip()}
