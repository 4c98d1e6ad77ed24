"""scripts/drill.sh: break it, see the alert, repair it, see the alert end."""

import argparse
import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import command_error
import env_file
from command_error import CommandError

from .drills import DRILLS, Drill
from .stack import Stack
from .traffic import Traffic

INFRASTRUCTURE = Path(__file__).resolve().parents[3] / "infrastructure"
STARTED = time.monotonic()
POLL_SECONDS, PRINT_SECONDS = 2, 15
DESCRIPTION = """\
Breaks the running stack on purpose, follows the alert through Prometheus and Alertmanager, repairs
what was broken and waits for the alert to end. Ctrl-C repairs it too.
"""
EPILOG = """\
Addresses follow HTTP_PORT, PROMETHEUS_PORT and ALERTMANAGER_PORT, from the environment or
infrastructure/.env.

exit status: 0 the alert fired and ended; 1 it did not; 2 the drill could not be held; 130 Ctrl-C
"""


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options; wrong ones end the program with one line and status 2."""
    settings = env_file.read(INFRASTRUCTURE / ".env") | os.environ
    width = max(map(len, DRILLS))
    drills = "\n".join(f"  {name:{width}}  {drill.what}" for name, drill in DRILLS.items())
    parser = argparse.ArgumentParser(
        prog="drill.sh",
        description=f"{DESCRIPTION}\ndrills:\n{drills}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("name", choices=DRILLS, metavar="NAME", help="one of the drills above")
    ports = {"url": ("HTTP", 8080), "prometheus": ("PROMETHEUS", 9090)}
    ports["alertmanager"] = ("ALERTMANAGER", 9093)
    for option, (variable, port) in ports.items():
        url = f"http://127.0.0.1:{settings.get(f'{variable}_PORT') or port}"
        add(f"--{option}", default=url, metavar="URL", help=f"default {url}")
    token = INFRASTRUCTURE / "secrets" / "api_token"
    text = "contains one of API_TOKENS; default infrastructure/secrets/api_token"
    add("--token-file", type=Path, default=token, metavar="FILE", help=text)
    project = settings.get("COMPOSE_PROJECT_NAME") or "devops-starter"
    add("--project", default=project, help=f"Compose project; default {project}")
    add("--rate", type=float, default=20, metavar="N", help="requests a second; default 20")
    text = (
        "requests a second after the repair; default as before. A higher rate ends the alert sooner"
    )
    add("--recovery-rate", type=float, metavar="N", help=text)
    text = "how long the alert may take to fire, and to end; default 900"
    add("--wait", type=float, default=900, metavar="SECONDS", help=text)
    return parser.parse_args(arguments)


def main() -> int:
    given = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        token = given.token_file.read_text(encoding="utf-8").split()[0]
    except (OSError, IndexError):
        raise CommandError(
            f"{given.token_file} contains no token; name another file with --token-file"
        ) from None
    stack = Stack(given.url, given.prometheus, given.alertmanager, given.project, token)
    try:
        return hold(DRILLS[given.name], stack, given)
    except KeyboardInterrupt:
        print("interrupted; what was broken is repaired", file=sys.stderr)
        return 130


def hold(drill: Drill, stack: Stack, given: argparse.Namespace) -> int:
    """Go through the drill; 0 if the alert fired and ended."""
    name = drill.alert["alertname"]
    if (state := stack.alert_state(drill.alert)) != "inactive":
        raise CommandError(f"{name} is {state} already; wait until it has ended")
    tell(f"{drill.what} {drill.why}")
    traffic = Traffic(stack.service, drill.paths, given.rate)
    traffic.start()
    tell(f"Simulated users request {' and '.join(drill.paths)}, {given.rate:g} times a second.")
    try:
        drill.break_(stack)
        tell(f"Broken. Waiting for {name}.")
        fired = follow(drill, stack, traffic, "firing", given.wait) and wait_for(
            lambda: stack.alert_receivers(drill.alert) is not None,
            given.wait,
            "Alertmanager has the alert",
        )
        if fired:
            tell_receivers(drill, stack)
    except (CommandError, KeyboardInterrupt):
        with suppress(CommandError):
            drill.repair(stack)
        raise
    drill.repair(stack)
    tell("Repaired.")
    if not fired:
        return 1
    traffic.rate = given.recovery_rate or given.rate
    ended = follow(drill, stack, traffic, "inactive", given.wait) and wait_for(
        lambda: stack.alert_receivers(drill.alert) is None,
        given.wait,
        "Alertmanager has no such alert any more",
    )
    traffic.stop()
    tell(f"The users got {summary(traffic)}.")
    if ended:
        tell(f"{name} has ended. Its runbook: docs/MONITORING.md#{name.lower()}")
    return 0 if ended else 1


def follow(drill: Drill, stack: Stack, traffic: Traffic, state: str, seconds: float) -> bool:
    """Wait until the alert has this state in Prometheus, and print figures meanwhile."""
    printed, before = 0.0, ""

    def reached() -> bool:
        nonlocal printed, before
        now = stack.alert_state(drill.alert)
        if now != before or time.monotonic() - printed > PRINT_SECONDS:
            found = {name: stack.figure(query) for name, query in drill.watch.items()}
            figures = [f"{name} {'none' if v is None else f'{v:.3g}'}" for name, v in found.items()]
            tell(f"{now:8}  {', '.join(figures)}; answers {summary(traffic)}")
            printed, before = time.monotonic(), now
        return now == state

    return wait_for(reached, seconds, f"the alert is {state}")


def tell_receivers(drill: Drill, stack: Stack) -> None:
    for receiver in stack.alert_receivers(drill.alert) or []:
        nobody = ", which reaches nobody: none is set"
        note = "" if stack.reaches_somebody(receiver) else nobody
        tell(f"Alertmanager has it and sends it to the receiver {receiver!r}{note}.")


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            print(f"error: not within {seconds:g} s: {what}", file=sys.stderr)
            return False
        time.sleep(POLL_SECONDS)
    return True


def summary(traffic: Traffic) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(traffic.answers.items())) or "none"


def tell(text: str) -> None:
    """A line with the time since the start, wrapped."""
    minutes, seconds = divmod(int(time.monotonic() - STARTED), 60)
    wrapped = textwrap.fill(text, 100, subsequent_indent=" " * 7)
    print(f"{minutes:02}:{seconds:02}  {wrapped}", flush=True)


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(command_error.run(main, failure=2))
