"""scripts/drill.sh: break it, see the alert, mend it, see it end."""

import argparse
import signal
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from . import Problem, options
from .drills import DRILLS, Drill
from .stack import Stack
from .traffic import Traffic

STARTED = time.monotonic()
LOOK_SECONDS = 2
SHOW_SECONDS = 15


def main(arguments: list[str]) -> int:
    chosen = options.parse(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        stack = options.stack(chosen)
        return hold(DRILLS[chosen.name], stack, chosen)
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what was broken is mended", file=sys.stderr)
        return 130


def hold(drill: Drill, stack: Stack, chosen: argparse.Namespace) -> int:
    """Go through the drill; 0 if the alert fired and ended."""
    name = drill.alert["alertname"]
    if stack.alert_state(drill.alert) != "inactive":
        raise Problem(
            f"{name} is {stack.alert_state(drill.alert)} already; wait until it has ended"
        )
    tell(f"{drill.what} {drill.why}")
    traffic = Traffic(stack.service, drill.paths, chosen.rate)
    traffic.start()
    tell(f"Visitors ask for {' and '.join(drill.paths)}, {chosen.rate:g} times a second.")

    try:
        drill.break_it(stack)
        tell(f"Broken. Waiting for {name}.")
        fired = follow(drill, stack, traffic, "firing", chosen.wait) and told(drill, stack, chosen)
    except (Problem, KeyboardInterrupt):
        with suppress(Problem):
            drill.mend_it(stack)
        raise
    drill.mend_it(stack)
    tell("Mended.")
    if not fired:
        return 1

    traffic.rate = chosen.recovery_rate or chosen.rate
    ended = follow(drill, stack, traffic, "inactive", chosen.wait)
    gone = ended and wait(
        lambda: stack.alert_receivers(drill.alert) is None, chosen.wait, "Alertmanager lets it go"
    )
    traffic.stop()
    tell(f"Visitors got {summary(traffic)}.")
    if gone:
        tell(f"{name} has ended. What it means and what to do: docs/MONITORING.md#{name.lower()}")
    return 0 if gone else 1


def follow(drill: Drill, stack: Stack, traffic: Traffic, state: str, seconds: float) -> bool:
    """Wait for Prometheus to have the alert in this state, showing the figures meanwhile."""
    shown, before, deadline = 0.0, "", time.monotonic() + seconds
    while True:
        now = stack.alert_state(drill.alert)
        if now != before or time.monotonic() - shown > SHOW_SECONDS:
            figures = ", ".join(f"{name} {_figure(stack, q)}" for name, q in drill.watch.items())
            tell(f"{now:8}  {figures}; answers {summary(traffic)}")
            shown, before = time.monotonic(), now
        if now == state:
            return True
        if time.monotonic() > deadline:
            print(f"error: not {state} within {seconds:g} s", file=sys.stderr)
            return False
        time.sleep(LOOK_SECONDS)


def told(drill: Drill, stack: Stack, chosen: argparse.Namespace) -> bool:
    """Wait for Alertmanager to have the alert, and say who hears of it."""
    if not wait(
        lambda: stack.alert_receivers(drill.alert) is not None, chosen.wait, "Alertmanager has it"
    ):
        return False
    for receiver in stack.alert_receivers(drill.alert) or []:
        told_how = "" if stack.somebody_is_told(receiver) else ", which reaches nobody: none is set"
        tell(f"Alertmanager has it and sends it to the receiver {receiver!r}{told_how}.")
    return True


def wait(condition: Callable[[], bool], seconds: float, what: str) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            print(f"error: not within {seconds:g} s: {what}", file=sys.stderr)
            return False
        time.sleep(LOOK_SECONDS)
    return True


def summary(traffic: Traffic) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(traffic.answers.items())) or "none"


def tell(text: str) -> None:
    """One line after the time since the start, wrapped under it."""
    minutes, seconds = divmod(int(time.monotonic() - STARTED), 60)
    wrapped = textwrap.wrap(text, 100, initial_indent="", subsequent_indent=" " * 7)
    print(f"{minutes:02}:{seconds:02}  " + "\n".join(wrapped), flush=True)


def _figure(stack: Stack, query: str) -> str:
    found = stack.figure(query)
    return "none" if found is None else f"{found:.3g}"


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
