"""nginx's configuration: the files in docker/nginx, with the settings of infrastructure/.env."""

import hashlib
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

# The least and the largest value of each number: nginx's, or the service's if those are narrower.
NUMBERS = {
    "CLIENT_REQUESTS_PER_SECOND": (1, 1_000_000),
    "CLIENT_BURST": (1, 1_000_000),
    "CLIENT_CONNECTIONS": (1, 65_535),
    "MAX_CONTENT_LENGTH": (1_024, 1 << 30),
    "REQUEST_TIMEOUT_SECONDS": (1, 3_600),
}
CHOICES = {
    "APP_ENV": ("production", "development", "testing"),
    "HTTPS_REDIRECT": ("auto", "on", "off"),
    "IPV6": ("true", "false"),
}
# The stack's; the Helm chart has others.
FIXED = {
    "RESOLVER": "127.0.0.11 ipv6=off",
    "STATUS_HOST": "nginx-status",
    "WEB_HOST": "web",
    "WEB_NEXT_HOST": "web-next",
    "WEB_BACKUP": "web-next",
    "WEB_NEXT_BACKUP": "web",
    "POOL": "web",
    "SPLIT": "",
    # Short: a restart waits for it, and nothing else answers meanwhile.
    "KEEPALIVE_MIN_SECONDS": "2",
}
# A map takes them for its own parameters unless a backslash stands before them.
MAP_WORDS, ESCAPED = re.compile("^(default|hostnames|include|volatile)$"), r"\\\1"
# How much longer than the service nginx waits.
MARGIN_SECONDS = 5


def site(folder: Path, environ: Mapping[str, str]) -> dict[str, bytes]:
    """Each file's name and content; last `version`, which differs if any of them does.

    Raises:
        ValueError: a setting that nginx would refuse or misunderstand, by name.
    """
    found = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = str(path.relative_to(folder)).removesuffix(".template")
        found[name] = fill_in(path.read_text(encoding="utf-8"), environ).encode()
    version = hashlib.sha256(b"".join(name.encode() + each for name, each in found.items()))
    return found | {"version": version.hexdigest().encode()}


def fill_in(template: str, environ: Mapping[str, str]) -> str:
    """The content of a file; raises as `site` does."""
    values = dict(FIXED)
    values |= {name: _number(name, environ[name], *range_) for name, range_ in NUMBERS.items()}
    # An address of the host may stand before it.
    values["HTTPS_PORT"] = _number(
        "HTTPS_PORT", environ["HTTPS_PORT"].rpartition(":")[2], 1, 65_535
    )
    for name, choices in CHOICES.items():
        if environ[name] not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}: not '{environ[name]}'")
        values[name] = environ[name]
    values["IPV6"] = {"true": "", "false": "# "}[values["IPV6"]]
    values["READ_TIMEOUT"] = str(int(values["REQUEST_TIMEOUT_SECONDS"]) + MARGIN_SECONDS)
    values["REAL_IP"] = _real_ip(environ["TRUSTED_PROXIES"])
    values["HOSTS"] = _hosts(environ["TRUSTED_HOSTS"])
    return re.sub(r"\$\{([A-Z0-9_]+)\}", lambda match: values[match[1]], template)


def _number(name: str, text: str, least: int, most: int) -> str:
    if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}, and not '{text}'")
    return str(int(text))


def _real_ip(proxies: str) -> str:
    lines = ""
    for proxy in _list(proxies):
        try:
            if "%" in proxy:
                raise ValueError(f"'{proxy}' has a zone")
            lines += f"set_real_ip_from {ip_network(proxy, strict=False)};\n"
        except ValueError as error:
            raise ValueError(f"TRUSTED_PROXIES: {error}; for example 10.0.0.0/8") from error
    return lines and f"{lines}real_ip_header X-Forwarded-For;\nreal_ip_recursive on;\n"


def _hosts(names: str) -> str:
    lines = ""
    found = dict.fromkeys(_list(names.lower()))  # nginx refuses a repeated name
    for name in found:
        if not re.fullmatch(r"\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]", name):
            raise ValueError(f"TRUSTED_HOSTS: '{name}' is not a host name; for example example.org")
        if f".{name}" not in found:  # which matches it, too
            lines += f'    {MAP_WORDS.sub(ESCAPED, name)} "";\n'
    return f'    default "{"yes" * bool(lines)}";\n{lines}'


def _list(text: str) -> list[str]:
    return text.replace(",", " ").split()
