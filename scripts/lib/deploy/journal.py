"""The lock and the history: a container that can exist only once writes what it is told to a file.

It lives in the engine, so that everybody who deploys to it shares both, and it ends with the
connection to whoever started it, so that no lock outlives its deploy.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import IO, Any

from . import Problem
from .engine import Engine
from .history import Deploy, parse

FILE = "/deploys/history.jsonl"

# In the container: print the history and an empty line, append each line given, and confirm it.
KEEPER = """\
import os, sys
with open(sys.argv[1], "a+", encoding="utf-8") as file:
    file.seek(0)
    print(file.read(), flush=True)
    for line in sys.stdin:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
        print("written", flush=True)
"""


@contextmanager
def held(engine: Engine, image: str, who: str) -> Iterator["Journal"]:
    """Hold the lock; released at the end, whichever way that comes.

    Args:
        image: any image with Python that the engine has.

    Raises:
        Problem: somebody else holds it.
    """
    name = f"{engine.project}-deploy"
    keeper = engine.start(
        *("run", "--rm", "--no-deps", "--no-TTY", "--name", name),
        *("--label", f"deploy.who={who}", "--label", f"deploy.since={now()}"),
        *("deployer", "python", "-c", KEEPER, FILE),
        environment={"WEB_NEXT_IMAGE": image},
    )
    lines = []
    while (line := _pipes(keeper)[1].readline()) != "\n":
        if not line:
            raise Problem(_refusal(engine, name, keeper.communicate()[1]))
        lines.append(line)
    try:
        yield Journal(keeper, who, parse(lines))
    finally:
        with suppress(OSError, subprocess.TimeoutExpired):
            keeper.communicate(timeout=30)


class Journal:
    """What `held` gives; ends with it."""

    def __init__(self, keeper: "subprocess.Popen[str]", who: str, deploys: list[Deploy]) -> None:
        self._keeper = keeper
        self.who = who
        self.deploys = deploys

    def begun(self, deploy: Deploy) -> None:
        entry = {"event": "begun", "id": deploy.id, "at": deploy.at, "who": deploy.who}
        entry |= {"kind": deploy.kind, "strategy": deploy.strategy}
        self._write(entry | {"before": deploy.before.as_json(), "to": deploy.to.as_json()})

    def ended(self, deploy_id: str, outcome: str, reason: str = "") -> None:
        self._write(
            {
                "event": "ended",
                "id": deploy_id,
                "ended": now(),
                "outcome": outcome,
                "reason": reason,
            }
        )

    def _write(self, entry: dict[str, Any]) -> None:
        confirmed = ""
        with suppress(OSError):
            into, out_of = _pipes(self._keeper)
            into.write(json.dumps(entry) + "\n")
            into.flush()
            confirmed = out_of.readline()
        if confirmed != "written\n":
            raise Problem("the container that keeps lock and history is gone")


def read(engine: Engine, image: str) -> list[Deploy]:
    """The history, without the lock."""
    command = ("run", "--rm", "--no-deps", "--no-TTY", "deployer", "python", "-c", KEEPER, FILE)
    return parse(engine.compose(*command, environment={"WEB_NEXT_IMAGE": image}).splitlines())


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _pipes(keeper: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    if keeper.stdin is None or keeper.stdout is None:
        raise RuntimeError("the keeper is started with pipes")
    return keeper.stdin, keeper.stdout


def _refusal(engine: Engine, name: str, error: str) -> str:
    if "already in use" not in error:
        lines = error.strip().splitlines() or ["no reason given"]
        return f"lock and history cannot be had: {lines[-1]}"
    labels = '{{index .Config.Labels "deploy.who"}}, since {{index .Config.Labels "deploy.since"}}'
    with suppress(Problem):
        holder = engine.docker("inspect", "--format", labels, name).strip()
        return f"another deploy is under way, by {holder}: wait until it has ended"
    return "another deploy was under way and has just ended: try again"
