"""nginx's error log as edge-exporter prints it: JSON lines without what clients have sent."""

import json
from typing import Any

import error_log
import pytest

REFUSED = "connect() failed (111: Connection refused) while connecting to upstream"
CONTEXT = (
    ', client: 192.0.2.7, server: localhost, request: "PUT /api/v1/items/7?token=s3cret HTTP/1.1", '
    'upstream: "http://172.18.0.5:8000/api/v1/items/7?token=s3cret", host: "localhost:8080", '
    'referrer: "https://example.org/?token=s3cret"'
)


def datagram(message: str, level: str = "error") -> bytes:
    time = "2026/11/23 14:00:00"
    return f"<187>Nov 23 14:00:00 4f1d nginx: {time} [{level}] 29#29: {message}".encode()


def printed(message: str, level: str = "error") -> dict[str, Any]:
    text = error_log.convert(datagram(message, level))
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def test_an_error_has_the_fields_of_the_access_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "testing")

    line = printed(f"*7 {REFUSED}{CONTEXT}")

    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "ERROR",
        "logger": "nginx.error",
        "message": REFUSED,
        "service": "nginx",
        "environment": "testing",
        "instance": "4f1d",
        "pid": 29,
        "connection": 7,
        "client_ip": "192.0.2.7",
        "method": "PUT",
        "path": "/api/v1/items/7",
        "upstream_addr": "172.18.0.5:8000",
    }


@pytest.mark.parametrize(
    "message",
    [
        f"*7 {REFUSED}{CONTEXT}",
        f"*7 {REFUSED}{CONTEXT}"[:170],  # nginx cuts long lines
        'upstream sent invalid header: "Set-Cookie: s3cret\\x01..." while reading' + CONTEXT,
        'client sent invalid request: "GET /?s3cret',
        '*7 open() "/srv/www/?s3cret" failed' + CONTEXT,
        "*7 odd, client: 192.0.2.7, s3cret",
        '*7 odd, client: 192.0.2.7, server: x, request: "GET /a"s3cret HTTP/1.1"',
        '*7 "\ns3cret"' + CONTEXT,
    ],
)
def test_nothing_that_may_be_secret_is_printed(message: str) -> None:
    assert "s3cret" not in error_log.convert(datagram(message))


@pytest.mark.parametrize("level", ["warn", "error", "crit"])
def test_names_of_files_are_printed_and_levels_as_in_the_services_log(level: str) -> None:
    message = 'open() "/var/bodies/0000000001" failed (28: No space left on device)'
    line = printed(f"*7 {message}{CONTEXT}", level)
    levels = {"warn": "WARNING", "error": "ERROR", "crit": "CRITICAL"}
    assert (line["message"], line["level"]) == (message, levels[level])


def test_a_candidate_that_does_not_exist_is_not_worth_a_line() -> None:
    message = "web-next could not be resolved (3: Host not found)"
    assert error_log.convert(datagram(message)) == ""
    assert printed(message.replace("web-next", "web"))["message"].startswith("web could not")


def test_a_client_cannot_forge_fields() -> None:
    forged = '/a",client:6.6.6.6,upstream:"http://6.6.6.6/"'
    context = CONTEXT.replace("/api/v1/items/7?token=s3cret", forged)
    line = printed(f"*7 {REFUSED}{context}")
    assert (line["client_ip"], line["path"]) == ("192.0.2.7", "/a")
    assert line["upstream_addr"] == "172.18.0.5:8000"


def test_a_line_of_another_form_is_reported_without_its_text() -> None:
    assert "s3cret" not in error_log.convert(b"\xff s3cret")
