"""Starts, stops and reports on the service that runs on this machine without containers.

A running service holds a lock on .run/local.lock, from its first process to its last, so no
process ID left over from another day is ever taken for it.

Usage: local_service.py check|start --port N [--detach] | status | stop
"""

import argparse
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

from local_port import HOST, answers, next_usable, why_unusable
from local_welcome import welcome

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / ".run"
LOCK, STATE, LOG = RUN / "local.lock", RUN / "local.json", RUN / "local.log"
COMMAND = [sys.executable, "-m", "app"]
STOP_COMMAND = "./scripts/setup.sh --local --stop"
START_SECONDS = 60
STOP_SECONDS = 40  # Gunicorn gives requests in flight GRACEFUL_TIMEOUT_SECONDS, 30 unless set
NOT_RUNNING = 3  # what `status` exits with, says the Linux Standard Base


class Problem(Exception):
    """Something the user can do something about; the text is one line."""


def check(lock: IO[str], port: int, detach: bool) -> None:
    """Refuse early, before anything is installed, what `start` could not do."""
    if acquire(lock):
        reason = why_unusable(port)
        if reason:
            raise Problem(f"port {port} {reason}: choose another, e.g. --port {next_usable(port)}")
    elif not detach or running()["port"] != port:
        raise Problem(f"it already runs here, {whereabouts()}: {STOP_COMMAND} stops it")


def start(lock: IO[str], port: int, detach: bool) -> None:
    check(lock, port, detach)
    if not acquire(lock):
        print(f"It already runs, {whereabouts()}; {STOP_COMMAND} stops it.")
    elif detach:
        start_detached(lock, port)
    else:
        start_in_foreground(lock, port)


def start_detached(lock: IO[str], port: int) -> None:
    with LOG.open("wb") as log:
        process = launch(lock, port, log)
    try:
        wait_until_it_answers(process, port)
    except BaseException:
        end(process)
        sys.stderr.write("".join(LOG.read_text(errors="replace").splitlines(True)[-5:]))
        raise
    print(welcome(f"http://{HOST}:{port}"))
    print(f"It runs in the background and logs to {LOG.relative_to(ROOT)}. Stop: {STOP_COMMAND}")


def start_in_foreground(lock: IO[str], port: int) -> None:
    """Its output goes to this terminal; Ctrl-C, SIGTERM or closing the terminal ends it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    process = launch(lock, port, None)
    try:
        wait_until_it_answers(process, port)
        print(welcome(f"http://{HOST}:{port}"))
        print("Ctrl-C stops it.", flush=True)
        code = process.wait()
    except KeyboardInterrupt:
        code = 0
    finally:
        end(process)
    if code != 0:
        raise Problem(f"the service ended with exit status {code}, see above")
    print("Stopped.", flush=True)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C does not wait for the end
    raise KeyboardInterrupt


def status(lock: IO[str]) -> int:
    if acquire(lock):
        print("Not running.")
        return NOT_RUNNING
    health = "answers" if answers(running()["port"]) else "does not answer"
    print(f"Running, {whereabouts()}; it {health}.")
    return 0


def stop(lock: IO[str]) -> None:
    if acquire(lock):
        print("Not running.")
        return
    master = running()["pid"]
    with suppress(ProcessLookupError):
        os.kill(master, signal.SIGTERM)
    if not released(lock, STOP_SECONDS):
        with suppress(ProcessLookupError):
            os.killpg(master, signal.SIGKILL)
        if not released(lock, STOP_SECONDS):
            raise Problem(f"process {master} does not end, not even by SIGKILL")
    print("Stopped.")


def end(process: subprocess.Popen[bytes]) -> None:
    """Gracefully if possible, and the whole group for certain."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def acquire(lock: IO[str]) -> bool:
    """Whether nothing runs here; if so, nothing else can start until this process ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def released(lock: IO[str], seconds: float) -> bool:
    """Whether the last process that held the lock has ended, within `seconds`."""
    deadline = time.monotonic() + seconds
    while not acquire(lock):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def running() -> dict[str, Any]:
    """`pid` of Gunicorn's master and `port` of the service that holds the lock."""
    state: dict[str, Any] = json.loads(STATE.read_text())
    return state


def whereabouts() -> str:
    return f"http://{HOST}:{running()['port']} (process {running()['pid']})"


def launch(lock: IO[str], port: int, log: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """Gunicorn in a session of its own: Ctrl-C reaches this script alone, which ends it."""
    # No load balancer has to notice that this one is leaving, hence no time for draining.
    environment = {"DRAIN_SECONDS": "0"} | os.environ | {"BIND": f"{HOST}:{port}"}
    process = subprocess.Popen(  # pylint: disable=consider-using-with
        COMMAND,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[lock.fileno()],
        start_new_session=True,
    )
    STATE.write_text(json.dumps({"pid": process.pid, "port": port}))
    lock.close()  # from here on it is the service's alone
    return process


def wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(port):
        if process.poll() is not None:
            raise Problem(
                f"the service did not start (exit status {process.returncode}), see above"
            )
        if time.monotonic() > deadline:
            raise Problem(f"the service did not answer on port {port} in {START_SECONDS} s")
        time.sleep(0.05)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=["check", "start", "status", "stop"])
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--detach", action="store_true")
    given = parser.parse_args()
    RUN.mkdir(exist_ok=True)
    with LOCK.open("a") as lock:
        try:
            if given.action == "status":
                return status(lock)
            if given.action == "stop":
                stop(lock)
            elif given.action == "check":
                check(lock, given.port, given.detach)
            else:
                start(lock, given.port, given.detach)
        except (Problem, OSError) as problem:
            print(f"error: {problem}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
