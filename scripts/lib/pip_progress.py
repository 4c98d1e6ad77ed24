"""Shows on a terminal how far pip is; anywhere else, where nobody watches, nothing."""

import subprocess
import sys
import time
from pathlib import Path

CLEAR_LINE = "\r\033[K"


def wait(process: subprocess.Popen[bytes], log: Path) -> int:
    """The exit status of the pip that writes `log` while it installs something.

    Whatever interrupts the waiting ends pip as well.
    """
    started = time.monotonic()
    try:
        while (status := _status(process)) is None:
            text = f"  {stage(log)}, {time.monotonic() - started:.0f} s"
            _show(text)
        return status
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        _show("")


def stage(log: Path) -> str:
    """What pip says last that tells how far it is."""
    text = log.read_text(errors="replace")
    if "Installing collected packages" in text:
        return "installing"
    return f"downloading: {text.count('Collecting ')} packages"


def _status(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(0.5)
    except subprocess.TimeoutExpired:
        return None


def _show(text: str) -> None:
    if sys.stderr.isatty():
        print(CLEAR_LINE + text, end="", file=sys.stderr, flush=True)
