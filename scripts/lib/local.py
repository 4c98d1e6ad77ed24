"""The service on this machine without containers. Usage: local.py start|detach|status|stop PORT

A running service holds a lock on .run/local.lock, which contains its process ID and its port: a
process ID that was left over is never taken for a running service.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from command_error import CommandError, run

ROOT = Path(__file__).resolve().parents[2]
LOCK, LOG = ROOT / ".run" / "local.lock", ROOT / ".run" / "local.log"
STOP = "./scripts/setup.sh --local --stop"
SECONDS = 60  # to start or to stop; requests in flight may take 30
WELCOME = """
The service answers{kept}:

  Console    {url}/
  API docs   {url}/docs
  Health     {url}/health
  Metrics    {url}/metrics

Three commands to try:

  curl {url}/health
  curl -X PUT {token}-H 'Content-Type: application/json' -d '{{"hello": "world"}}' \
'{url}/api/v1/cache/greeting?ttl=60'
  curl {url}/api/v1/cache/greeting
"""


def main() -> int:
    action, port = sys.argv[1], int(sys.argv[2])
    with LOCK.open("a+") as lock:
        if acquire(lock):
            if action in ("status", "stop"):
                print("Not running.")
                return 3 if action == "status" else 0  # 3: as the Linux Standard Base says
            return start(lock, port, detach=action == "detach")
        pid, used = map(int, LOCK.read_text().split())
        where = f"http://127.0.0.1:{used} (process {pid})"
        if action == "status":
            print(f"Running, {where}; it {'answers' if answers(used) else 'does not answer'}.")
        elif action == "stop":
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: acquire(lock), f"process {pid} ends")
            print("Stopped.")
        elif action == "detach" and used == port:
            print(f"It already runs, {where}; {STOP} stops it.")
        else:
            raise CommandError(f"it already runs here, {where}: {STOP} stops it")
        return 0


def start(lock: IO[str], port: int, *, detach: bool) -> int:
    # No load balancer has to notice that this instance leaves, so there is no time for draining.
    environment = {"DRAIN_SECONDS": "0"} | os.environ | {"BIND": f"127.0.0.1:{port}"}
    output = LOG.open("wb") if detach else None
    # In a session of its own, Ctrl-C does not reach the service: it is stopped in order instead.
    service = subprocess.Popen(  # pylint: disable=consider-using-with
        [sys.executable, "-m", "app"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        pass_fds=[lock.fileno()],
    )
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: service.terminate())
    lock.truncate(0)
    lock.write(f"{service.pid} {port}")
    lock.close()  # from here on the service alone holds it
    wait_until(lambda: service.poll() is not None or answers(port), "the service answers")
    if service.poll() is None:
        print(welcome(f"http://127.0.0.1:{port}"))
        if detach:
            print(f"It runs in the background and logs to .run/local.log. Stop: {STOP}")
            return 0
        print("Ctrl-C stops it.", flush=True)
        if service.wait() == 0:
            print("Stopped.")
            return 0
    if detach:
        print(*LOG.read_text(errors="replace").splitlines()[-5:], sep="\n", file=sys.stderr)
    raise CommandError(f"the service ended with exit status {service.returncode}, see above")


def welcome(url: str) -> str:
    # The shell fills in the token of the printed command, so that no secret is shown.
    token = '-H "Authorization: Bearer ${API_TOKENS%%,*}" ' if os.environ.get("API_TOKENS") else ""
    embedded = os.environ.get("REDIS_URL") in (None, "", "memory://")
    kept = " (embedded store: nothing is kept)" if embedded else ""
    return WELCOME.format(url=url, kept=kept, token=token)


def acquire(lock: IO[str]) -> bool:
    """Whether nothing runs here; then nothing else can start until this process ends."""
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def answers(port: int) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with suppress(OSError), direct.open(f"http://127.0.0.1:{port}/health/live", timeout=2):
        return True
    return False


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise CommandError(f"not within {SECONDS} s: {what}")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(run(main))
