"""Prints nginx's error log as JSON lines, without queries and headers, which may be secret.

nginx cannot write it as JSON. It sends each line as a syslog datagram to a Unix socket, for which
it never waits. `connection` is that of the access log's line.
"""

import json
import os
import re
import socket
from datetime import UTC, datetime

DATAGRAM_BYTES = 65_536

# <187>Nov 23 14:00:00 HOST nginx: 2026/11/23 14:00:00 [error] 29#29: *7 MESSAGE, client: …
_LINE = re.compile(
    r"<\d+>.{15} (?P<instance>\S+) nginx: \S+ \S+ \[(?P<level>\w+)\] (?P<pid>\d+)#\d+: "
    r"(?:\*(?P<connection>\d+) )?(?P<message>.*?)"
    r"(?:, client: (?P<client_ip>[^,\s]+).*)?",
    re.DOTALL,
)
_REQUEST = re.compile(r', request: "(?P<method>[A-Z]+) (?P<path>[^\s?#"]*)')
# A URI contains no space, so a client cannot write this.
_UPSTREAM = re.compile(r' HTTP/[\d.]+", upstream: "\w+://(?P<upstream_addr>[^/"]+)')
_QUOTED = re.compile(r'"([^"]*)("|$)')
_PATH = re.compile(r"/[\w./-]*")
_LEVELS = {"debug": "DEBUG", "info": "INFO", "notice": "INFO", "warn": "WARNING", "error": "ERROR"}

# Each second between deploys: the candidate does not exist then.
_EXPECTED = "web-next could not be resolved"


def listen(sock: socket.socket) -> None:
    """Print what arrives at `sock`, for ever."""
    while True:
        if printed := convert(sock.recv(DATAGRAM_BYTES)):
            print(printed, flush=True)


def convert(datagram: bytes) -> str:
    """The JSON line of a syslog message; empty if it says what is always so."""
    text = datagram.decode("utf-8", "replace").rstrip("\n")
    found = _LINE.fullmatch(text)
    if not found:
        return line("ERROR", "nginx.error", "A line of nginx's error log could not be read")
    if found["message"].startswith(_EXPECTED):
        return ""
    fields: dict[str, object] = {"service": "nginx", "instance": found["instance"]}
    fields |= {name: int(found[name]) for name in ("pid", "connection") if found[name]}
    if found["client_ip"]:
        fields["client_ip"] = found["client_ip"]
        context = text[found.end("client_ip") :]
        for part in (_REQUEST.search(context), _UPSTREAM.search(context)):
            fields |= part.groupdict() if part else {}
    message = _QUOTED.sub(_shown, found["message"])
    return line(_LEVELS.get(found["level"], "CRITICAL"), "nginx.error", message, **fields)


def _shown(quoted: re.Match[str]) -> str:
    """Names of files. Other quoted text is what clients and the service have sent."""
    return quoted[0] if _PATH.fullmatch(quoted[1]) else '"…"'


def line(level: str, logger: str, message: str, **fields: object) -> str:
    """A line in the form of the service's log."""
    time = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    common = {"timestamp": time, "level": level, "logger": logger, "message": message}
    common["environment"] = os.environ.get("APP_ENV", "")
    return json.dumps(common | fields, ensure_ascii=False)
