"""Capacity, measured by wrk: requests a second over keep-alive connections."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.paths import ROOT

# On a busy machine a request may wait too long for Redis; more than these make a figure worthless.
TOLERATED = 0.01


def measure(port: int, path: str, seconds: float, cores: frozenset[int], *options: str) -> float:
    """Requests a second for `path`, as many as are answered.

    Args:
        port: on the loopback interface.
        path: requested over and over.
        seconds: wrk's unit are whole seconds; at least one.
        cores: where wrk runs, with a thread on each.
        options: more of wrk's; they override those set here.

    Raises:
        RuntimeError: too many requests failed, so the figure would mean nothing.
    """
    command = ["wrk", f"-t{len(cores)}", "-c32", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
    return parse(run_on(cores, [*command, *options, f"http://127.0.0.1:{port}{path}"]))


def parse(text: str) -> float:
    """Requests a second in wrk's output."""
    requests = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if not requests or not rate or not int(requests[1]):
        raise RuntimeError(f"wrk has measured nothing: {text.strip()}")
    failures = re.findall(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", text)
    failed = sum(int(number) for line in failures for number in re.findall(r"\b\d+\b", line))
    if failed > TOLERATED * int(requests[1]):
        raise RuntimeError(f"of {requests[1]} requests too many failed: {'; '.join(failures)}")
    return float(rate[1])


def run_on(
    cores: frozenset[int],
    command: list[str],
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
) -> str:
    """Run a program on these cores; returns its output."""
    before = os.sched_getaffinity(0)  # of this thread alone
    os.sched_setaffinity(0, cores)
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    finally:
        os.sched_setaffinity(0, before)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stdout.strip()[-2000:]}")
    return done.stdout
