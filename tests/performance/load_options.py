"""The options of scripts/load-test.sh. As a program it checks them, and nothing else."""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

EPILOG = """\
The mix: reads of the cache (some of what is not there, some with If-None-Match), list pages, items,
information, sessions; with a token, or where none is asked for, also writes: cache entries, and
items that are created, read, changed and deleted again. Behind nginx, CLIENT_REQUESTS_PER_SECOND
limits one address: raise it for the test, or its 429 count as errors.

Exit status: 0 within the thresholds, 1 a threshold is broken, 2 usage, or nothing answers at URL,
130 Ctrl-C.
"""
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Options:  # pylint: disable=too-many-instance-attributes
    """What was asked for."""

    url: str
    users: int
    seconds: int
    p99_ms: float
    error_ratio: float
    report: Path | None
    token: str | None
    insecure: bool


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; ./scripts/load-test.sh --help lists all options\n")


def parse(arguments: list[str]) -> Options:
    """The options; ends the program with status 2 and one line when they make no sense."""
    parser = Parser(
        prog="./scripts/load-test.sh",
        description="Sends a realistic mix of requests and holds the answers to thresholds.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("url", metavar="URL", type=_url, help="where the service is, e.g. http://127.0.0.1:8080")
    add("--users", metavar="N", type=_whole, default=10, help="at the same time (10)")
    add("--duration", metavar="D", type=_seconds, default=30, help="e.g. 30s, 5m, 1h (30s)")
    add(
        "--p99-ms", metavar="M", type=_positive, default=250.0, help="slowest 99th percentile (250)"
    )
    add("--error-ratio", metavar="R", type=_ratio, default=0.001, help="most errors (0.001)")
    add("--report", metavar="FILE", type=_file, help="write an HTML report")
    add("--token-file", metavar="F", type=_token, help="holds a token of API_TOKENS, for writes")
    add("--insecure", action="store_true", help="believe any certificate")
    found = parser.parse_args(arguments)
    return Options(
        url=found.url,
        users=found.users,
        seconds=found.duration,
        p99_ms=found.p99_ms,
        error_ratio=found.error_ratio,
        report=found.report,
        token=found.token_file,
        insecure=found.insecure,
    )


def _wrong(text: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(text)


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _wrong(f"{text!r} is no address such as http://127.0.0.1:8080")
    return text.rstrip("/")


def _whole(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text):
        raise _wrong(f"{text!r} is no whole number from 1 to 99999")
    return int(text)


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,4})([smh]?)", text)
    if not found:
        raise _wrong(f"{text!r} is no time such as 30s, 5m or 1h")
    return int(found[1]) * UNITS[found[2]]


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        raise _wrong(f"{text!r} is no number")
    return float(text)


def _positive(text: str) -> float:
    if not _number(text):
        raise _wrong("a threshold of no milliseconds can never be kept")
    return _number(text)


def _ratio(text: str) -> float:
    if _number(text) > 1:
        raise _wrong(f"{text!r} is no ratio from 0 to 1")
    return _number(text)


def _file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise _wrong(f"{text!r} cannot be written: it is a folder, or its folder is not there")
    return path


def _token(text: str) -> str:
    try:
        lines = Path(text).read_text(encoding="ascii").split()
    except (OSError, UnicodeError) as error:
        raise _wrong(f"{text!r} cannot be read: {error}") from error
    if not lines:
        raise _wrong(f"{text!r} is empty")
    return lines[0]


if __name__ == "__main__":
    parse(sys.argv[1:])
