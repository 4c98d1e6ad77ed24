"""The fuzz target: whatever the bytes of a request, the service does not answer with a bug.

Started by scripts/fuzz.sh. The coverage of app/ leads to code that random bytes do not reach.
"""

import io
import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import atheris
from werkzeug.test import run_wsgi_app

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
with atheris.instrument_imports(include=["app"]):
    from app.config import Settings
    from app.factory import create_app

SETTINGS = Settings.from_env()
APP = create_app(SETTINGS)
# These wait, and set faults, which look like bugs.
LEFT_OUT = ("/api/v1/demo/delay", "/api/v1/demo/faults")
ON_PURPOSE = "/api/v1/demo/status/"
# A server refuses these in a header.
CONTROL_CHARACTERS = {number: " " for number in (*range(32), 127)}


def request(data: bytes) -> dict[str, Any] | None:
    """A WSGI request as a server hands it over; None if servers refuse it.

    Args:
        data: in the form of seeds/, like HTTP but with plain newlines.
    """
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    method, _, target = first.partition(" ")
    path, _, query = target.partition("?")
    if not re.fullmatch("[A-Z]{1,20}", method) or not path.startswith("/"):
        return None
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path.encode("latin-1")).decode("latin-1"),
        "QUERY_STRING": quote(query, safe="=&%+;[]"),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "HTTP_HOST": "localhost",
        "HTTP_AUTHORIZATION": f"Bearer {SETTINGS.api_tokens[0]}",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.input": io.BytesIO(body),
    }
    for line in lines:
        name, _, value = line.translate(CONTROL_CHARACTERS).partition(":")
        name = name.strip().upper().replace("-", "_")
        if name not in ("CONTENT_LENGTH", "TRANSFER_ENCODING"):
            environ[name if name == "CONTENT_TYPE" else f"HTTP_{name}"] = value.strip()
    return environ


def one_input(data: bytes) -> int:
    """Ask the service once; -1: not worth keeping.

    Raises:
        AssertionError: its answer shows a bug.
    """
    environ = request(data)
    if environ is None or environ["PATH_INFO"].startswith(LEFT_OUT):
        return -1
    chunks, line, headers = run_wsgi_app(APP, environ, buffered=True)
    status, body = int(line[:3]), b"".join(chunks)
    if environ["PATH_INFO"].startswith(ON_PURPOSE):
        return 0
    assert status < 500, (status, body)
    assert headers["X-Request-ID"]
    if status >= 400 and environ["REQUEST_METHOD"] != "HEAD":
        assert headers["Content-Type"] == "application/problem+json", headers
        assert json.loads(body)["status"] == status, body
    return 0


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
