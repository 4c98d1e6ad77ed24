"""How much a server can answer: wrk, as many requests as it takes, over keep-alive connections."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.performance.process import ROOT, Server

CONNECTIONS = 32
# On a busy machine a request may wait too long for Redis; more than these make a figure worthless.
TOLERATED = 0.01
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Capacity:
    """What one run of wrk has seen."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """CPU time of `servers` for each request, in microseconds."""


@dataclass(frozen=True)
class Load:
    """How to ask."""

    seconds: float
    """wrk's unit are whole seconds; at least one."""
    cores: frozenset[int]
    """Where wrk runs, with a thread on each."""
    connections: int = CONNECTIONS
    headers: tuple[str, ...] = ()


def measure(port: int, path: str, load: Load, servers: Sequence[Server] = ()) -> Capacity:
    """Ask for `path` as often as it is answered.

    Args:
        port: on the loopback interface.
        path: asked for over and over.
        load: for how long and from how many connections.
        servers: whose CPU time is added up.

    Raises:
        RuntimeError: more than a few answers were no success, so the figures would mean nothing.
    """
    threads = min(len(load.cores), load.connections)
    command = ["wrk", f"-t{threads}", f"-c{load.connections}", f"-d{max(1, round(load.seconds))}s"]
    command += ["--latency", "--timeout", "30s"]
    for header in load.headers:
        command += ["-H", header]
    before = sum(server.cpu_seconds() for server in servers)
    text = run_on(load.cores, [*command, f"http://127.0.0.1:{port}{path}"])
    spent = sum(server.cpu_seconds() for server in servers) - before
    return parse(text, spent)


def parse(text: str, cpu_seconds: float = 0.0) -> Capacity:
    """What wrk has printed, in figures."""
    requests = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if not requests or not rate or not int(requests[1]):
        raise RuntimeError(f"wrk has measured nothing: {text.strip()}")
    failures = re.findall(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", text)
    failed = sum(int(number) for line in failures for number in re.findall(r"\b\d+\b", line))
    if failed > TOLERATED * int(requests[1]):
        raise RuntimeError(f"of {requests[1]} requests too many failed: {'; '.join(failures)}")
    return Capacity(
        per_second=float(rate[1]),
        p50_ms=_percentile(text, 50),
        p99_ms=_percentile(text, 99),
        cpu_us=cpu_seconds / int(requests[1]) * 1e6,
    )


def run_on(cores: frozenset[int], command: list[str], env: Mapping[str, str] | None = None) -> str:
    """Run a program on these cores; all that it prints."""
    before = os.sched_getaffinity(0)  # of this thread alone
    os.sched_setaffinity(0, cores)
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
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


def _percentile(text: str, percent: int) -> float:
    found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s|m)\b", text)
    if not found:
        raise RuntimeError(f"wrk has not told the {percent}th percentile")
    return float(found[1]) * _UNITS[found[2]]
