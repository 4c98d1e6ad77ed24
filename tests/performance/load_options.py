"""The options of scripts/load-test.sh. Run as a program it only checks them."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

EPILOG = """\
The mix: reads of the cache (some of missing entries, some with If-None-Match), list pages, items,
information, sessions; with a token, or where none is needed, also writes: cache entries, and items
that are created, read, changed and deleted again. nginx limits one address to
CLIENT_REQUESTS_PER_SECOND: raise it for the test, or the 429 count as errors.

Exit status: 0 within the thresholds, 1 a threshold is broken, 2 usage, or nothing answers at URL,
130 Ctrl-C.
"""
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


class Parser(argparse.ArgumentParser):
    """Reports an error in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; ./scripts/load-test.sh --help lists all options\n")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options; a wrong one ends the program with status 2 and one line."""
    parser = Parser(
        prog="./scripts/load-test.sh",
        description="Sends a realistic mix of requests and compares the answers with thresholds.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    number = r"[0-9]{1,9}(\.[0-9]{1,9})?"
    whole = _matching("[1-9][0-9]{0,4}", "a whole number from 1 to 99999", int)
    time = _matching("[1-9][0-9]{0,4}[smh]?", "a time such as 30s, 5m or 1h", _seconds)
    limit = _matching(rf"(?!0+(\.0+)?$){number}", "a number above 0", float)
    ratio = _matching(r"0(\.[0-9]{1,9})?|1(\.0+)?", "a ratio from 0 to 1", float)
    add = parser.add_argument
    add("url", metavar="URL", type=_url, help="the service's address, e.g. http://127.0.0.1:8080")
    add("--users", metavar="N", type=whole, default=10, help="users at the same time (10)")
    add("--duration", metavar="D", type=time, default=30, help="e.g. 30s, 5m, 1h (30s)")
    add("--p99-ms", metavar="M", type=limit, default=250.0, help="highest p99 (250)")
    add("--error-ratio", metavar="R", type=ratio, default=0.001, help="highest error ratio (0.001)")
    add("--report", metavar="FILE", type=_file, help="write an HTML report")
    add("--token-file", metavar="F", type=_token, help="has a token of API_TOKENS, for writes")
    add("--insecure", action="store_true", help="accept any certificate")
    return parser.parse_args(arguments)


def _matching(pattern: str, what: str, convert: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if not re.fullmatch(pattern, text):
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return convert(text)

    return read


def _seconds(text: str) -> int:
    digits = text.rstrip("smh")
    return int(digits) * UNITS[text[len(digits) :]]


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL such as http://127.0.0.1:8080")
    return text.rstrip("/")


def _file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder, or its folder does not exist")
    return path


def _token(text: str) -> str:
    try:
        lines = Path(text).read_text(encoding="ascii").split()
    except (OSError, UnicodeError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be read: {error}") from error
    if not lines:
        raise argparse.ArgumentTypeError(f"{text!r} is empty")
    return lines[0]


if __name__ == "__main__":
    parse(sys.argv[1:])
