"""Builds a virtual environment from the pinned requirements.

It is built beside the present one and takes its place only when complete: whatever goes wrong,
there is either the environment that worked before or none, never half of one.

Usage: environment.py check|make runtime|dev|bench|load      (check: exit status 1 when it needs to
be made). The service and its development share .venv; the others have environments in .run.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pip_progress

ROOT = Path(__file__).resolve().parents[2]
STAMP = "stamp.json"
RUN = ROOT / ".run"
NEW, OLD = RUN / "venv-new", RUN / "venv-old"
PIP_LOG = RUN / "pip.log"

PERFORMANCE = ROOT / "tests" / "performance"
# Installed in this order. The bench measures the versions that are shipped, whatever its peers were
# locked with: so these come last, and a new version of one needs no new lock of the bench's.
REQUIREMENTS = {
    "runtime": [ROOT / "requirements.txt"],
    "dev": [ROOT / "requirements-dev.txt"],
    "bench": [PERFORMANCE / "requirements.txt", ROOT / "requirements-granian.txt"],
    "load": [PERFORMANCE / "requirements-load.txt"],
}

# What pip writes when it reaches no index, or one that knows nothing.
NETWORK_SIGNS = ("NewConnectionError", "Retrying (", "from versions: none", "Connection refused")


class Problem(Exception):
    """Something the user can do something about; the text is one line."""


def venv(kind: str) -> Path:
    """Where the environment of this kind is."""
    return ROOT / ".venv" if kind in ("runtime", "dev") else RUN / f"environment-{kind}"


def wanted(kind: str) -> dict[str, str]:
    """What the stamp must say at least; the development environment also serves as runtime."""
    kinds = ["runtime", "dev"] if kind == "dev" else [kind]
    hashes = {
        k: hashlib.sha256(b"".join(path.read_bytes() for path in REQUIREMENTS[k])).hexdigest()
        for k in kinds
    }
    version = ".".join(platform.python_version_tuple()[:2])
    return hashes | {"python": version, "path": str(venv(kind))}


def is_current(kind: str) -> bool:
    """To be asked of the environment's own Python."""
    try:
        stamp = json.loads((venv(kind) / STAMP).read_text())
    except (OSError, ValueError):
        return False
    return bool(stamp.items() >= wanted(kind).items())


def make(kind: str) -> None:
    RUN.mkdir(exist_ok=True)
    with only_one_at_a_time():
        remove(NEW)  # of a run that was killed
        try:
            build(kind)
            relocate(venv(kind))
            swap(venv(kind))
        finally:
            remove(NEW)
            remove(OLD)


@contextmanager
def only_one_at_a_time() -> Iterator[None]:
    with (RUN / "environment.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("Waiting for another run that is building an environment")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(kind: str) -> None:
    place = venv(kind).relative_to(ROOT)
    names = " and ".join(path.name for path in REQUIREMENTS[kind])
    tell(f"Building {place} with Python {platform.python_version()} from {names}")
    created = subprocess.run(
        [sys.executable, "-m", "venv", NEW], capture_output=True, text=True, check=False
    )
    if created.returncode != 0:
        raise Problem(f"no virtual environment could be made: {last_line(created.stderr)}")
    for requirements in REQUIREMENTS[kind]:
        install(requirements)
    (NEW / STAMP).write_text(json.dumps(wanted(kind), indent=1))


def install(requirements: Path) -> None:
    # A machine without network should learn so in seconds; pip would try five times.
    environment = {"PIP_RETRIES": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"} | os.environ
    # All is pinned, dependencies too. Left to resolve them, pip meets `coverage[toml]>=7.10` of one
    # package, takes the newest for it, and refuses that because no hash is known.
    command = [f"{NEW}/bin/python", "-m", "pip", "install", "--no-deps", "--require-hashes"]
    with PIP_LOG.open("wb") as log:
        pip = subprocess.Popen(  # pylint: disable=consider-using-with
            [*command, "--requirement", str(requirements)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    if pip_progress.wait(pip, PIP_LOG) != 0:
        raise Problem(why_pip_failed(PIP_LOG.read_text(errors="replace")))


def why_pip_failed(log: str) -> str:
    details = f"(details: {PIP_LOG.relative_to(ROOT)})"
    if any(sign in log for sign in NETWORK_SIGNS):
        return (
            "pip could not download the pinned requirements: connect this machine to the network,"
            f" or set PIP_INDEX_URL to an index it can reach, and run this again {details}"
        )
    errors = [line for line in log.splitlines() if line.startswith("ERROR")] or [log]
    return f"pip could not install the pinned requirements: {last_line(errors[0])} {details}"


def relocate(place: Path) -> None:
    """Point the scripts, which pip wrote for the place of building, to the final place."""
    for path in [NEW / "pyvenv.cfg", *(NEW / "bin").iterdir()]:
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" not in content:
            path.write_bytes(content.replace(os.fsencode(NEW), os.fsencode(place)))


def swap(place: Path) -> None:
    remove(OLD)
    with suppress(FileNotFoundError):
        place.rename(OLD)
    NEW.rename(place)


def remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]


def tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main() -> int:
    action, kind = sys.argv[1:]
    if action == "check":
        return 0 if is_current(kind) else 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` cleans up
    try:
        make(kind)
    except (Problem, OSError) as problem:
        tell(f"error: {problem}")
        return 1
    except KeyboardInterrupt:
        tell("Interrupted; nothing was changed")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
