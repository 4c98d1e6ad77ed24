"""Reading settings from the environment, one variable at a time.

Whatever is wrong ends in a `SettingsError` of one line: the variable, the problem, an example.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, parse_qs, urlsplit

from redis import ConnectionPool
from redis.exceptions import RedisError

T = TypeVar("T")

EMBEDDED_STORE = "memory://"
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# Values seen in tutorials and sample files. A production secret must not even contain one.
PLACEHOLDERS = re.compile(
    r"change.?me|replace.?me|example|placeholder|insecure|default|secret.?key|password|"
    r"your.?(?:token|key)|dummy|12345678|(.)\1{7}",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"unix:.+|fd://[0-9]+|(?:\[[0-9A-Fa-f:.]+\]|[^][:/\s]*)(?::(?P<port>[0-9]{1,5}))?"
)
_EXAMPLE_SECRET = "$(openssl rand -hex 32)"  # nosec B105


class SettingsError(ValueError):
    """A setting is missing or wrong; the text is meant for the person who starts the service."""


class Environment:
    """What the methods' names say, checked; each raises `SettingsError`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str) -> str:
        return self._environ.get(name, "").strip() or default

    def items(self, name: str) -> tuple[str, ...]:
        parts = re.split(r"[,\n]", self._environ.get(name, ""))
        return tuple(part.strip() for part in parts if part.strip())

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value not in choices:
            raise _wrong(name, f"{value!r} is none of {', '.join(choices)}", default)
        return value

    def matching(self, name: str, pattern: str, default: str) -> str:
        value = self.text(name, default)
        if not re.fullmatch(pattern, value):
            raise _wrong(name, f"{value!r} does not match {pattern}", default)
        return value

    def boolean(self, name: str, default: bool) -> bool:
        value = self.text(name, str(default)).lower()
        if value not in {"true", "false", "1", "0", "yes", "no", "on", "off"}:
            raise _wrong(name, f"{value!r} is neither true nor false", "true")
        return value in {"true", "1", "yes", "on"}

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        value = self.optional_integer(name, least, most)
        return default if value is None else value

    def optional_integer(self, name: str, least: int, most: int) -> int | None:
        value = self.text(name, "")
        if not value:
            return None
        if not re.fullmatch(r"-?[0-9]{1,12}", value) or not least <= int(value) <= most:
            raise _wrong(name, f"{value!r} is no whole number from {least} to {most}", str(least))
        return int(value)

    def networks(self, name: str) -> tuple[IpNetwork, ...]:
        def network(part: str) -> IpNetwork:
            return ipaddress.ip_network(part, strict=False)

        return tuple(
            _parse(network, name, part, "is no IP address or network", "172.16.0.0/12")
            for part in self.items(name)
        )

    def writable_file(self, name: str) -> str | None:
        path = self.text(name, "")
        if path:
            _parse(_append_nothing, name, path, "cannot be written", "/var/log/app.log")
        return path or None

    def writable_folder(self, name: str) -> str | None:
        path = self.text(name, "")
        if path:
            _parse(_make_folder, name, path, "cannot be made or written", "/run/metrics")
        return path or None

    def rate(self, name: str) -> str:
        value = self.text(name, "")
        if value and not re.fullmatch(r"[1-9][0-9]{0,8}/(second|minute|hour|day)", value):
            raise _wrong(name, f"{value!r} is no rate", "600/minute")
        return value

    def redis_url(self, name: str, production: bool) -> str:
        example = "redis://redis:6379/0"
        value = self.text(name, "" if production else EMBEDDED_STORE)
        if production and not value:
            raise _wrong(name, "is missing, and production needs a real Redis", example)
        if value == EMBEDDED_STORE:
            if production:
                raise _wrong(name, "is the embedded store, which keeps nothing", example)
            return value
        parts = _parse(_split_url, name, value, "is no URL", example)
        if parts.scheme not in {"redis", "rediss", "unix"}:
            raise _wrong(name, "must start with redis://, rediss://, unix:// or memory://", example)
        if parts.scheme != "unix" and not re.fullmatch(r"/?[0-9]{0,2}", parts.path):
            raise _wrong(name, f"names the database {parts.path!r}, which is no number", example)
        if not _redis_takes(value):
            raise _wrong(name, "has an option behind the ? that is unknown or wrong", example)
        if production:
            # redis-py takes it behind the question mark as well.
            for password in (parts.password, *parse_qs(parts.query).get("password", [])):
                if password:
                    _check_secret(name, password, 16)
        return value

    def addresses(self, name: str) -> tuple[str, ...]:
        addresses = self.items(name)
        for address in addresses:
            match = _ADDRESS.fullmatch(address)
            if not match or int(match["port"] or 0) > 65_535:
                raise _wrong(name, f"{address!r} is no address to listen on", "0.0.0.0:8000")
        return addresses

    def web_address(self, name: str, example: str) -> str:
        value = self.text(name, "")
        parts = _parse(_split_url, name, value, "is no URL", example)
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise _wrong(name, f"{value!r} is no address of a web page", example)
        return value

    def secret(
        self, name: str, *, required: bool = False, at_least: int = 0, strict: bool = False
    ) -> str:
        value = self._environ.get(name, "").strip()
        path = self._environ.get(f"{name}_FILE", "").strip()
        if path:
            if value:
                raise _wrong(f"{name}_FILE", f"is set together with {name}", f"/run/secrets/{name}")
            value = _parse(_read_secret, f"{name}_FILE", path, "cannot be read", "/run/secrets/x")
        if required and not value:
            raise _missing(name)
        if strict and value:
            _check_secret(name, value, at_least)
        return value

    def secrets(self, name: str, *, required: bool, at_least: int, strict: bool) -> tuple[str, ...]:
        joined = self.secret(name)
        tokens = tuple(part.strip() for part in re.split(r"[,\n]", joined) if part.strip())
        if required and not tokens:
            raise _missing(name)
        for token in tokens:
            if not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", token):
                raise _wrong(name, "holds a token with other signs than RFC 6750 allows", "a1B2…")
            if strict:
                _check_secret(name, token, at_least)
        return tokens


def _wrong(name: str, problem: str, example: str) -> SettingsError:
    return SettingsError(f"{name}: {problem}; for example {name}={example}")


def _missing(name: str) -> SettingsError:
    return _wrong(name, "is missing, and production needs it", _EXAMPLE_SECRET)


def _parse(parser: Callable[[str], T], name: str, value: str, problem: str, example: str) -> T:
    try:
        return parser(value)
    except (ValueError, OSError) as error:
        shown = re.sub(r"//.*@", "//…@", value)  # what stands before an @ may be a password
        raise _wrong(name, f"{shown!r} {problem}", example) from error


def _split_url(value: str) -> SplitResult:
    parts = urlsplit(value)
    if parts.port == 0:
        raise ValueError("there is no port 0")
    return parts


def _redis_takes(url: str) -> bool:
    """Whether the options behind its question mark suit a connection; none is made."""
    try:
        # Without what the library would say of itself: it takes a millisecond to look that up.
        ConnectionPool.from_url(url, driver_info=None).make_connection()
    except (TypeError, ValueError, RedisError):
        return False
    return True


def _append_nothing(path: str) -> None:
    with Path(path).open("ab"):
        pass


def _make_folder(path: str) -> None:
    Path(path).mkdir(parents=True, exist_ok=True)
    (Path(path) / ".writable").touch()
    (Path(path) / ".writable").unlink()


def _read_secret(path: str) -> str:
    return Path(path).read_text(encoding="utf-8").strip()


def _check_secret(name: str, value: str, at_least: int) -> None:
    """Refuse what anybody could guess; the value itself is never part of the message."""
    if len(value) < at_least:
        raise _wrong(name, f"is shorter than {at_least} characters", _EXAMPLE_SECRET)
    if PLACEHOLDERS.search(value):
        raise _wrong(name, "looks like a placeholder", _EXAMPLE_SECRET)
