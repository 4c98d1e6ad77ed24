"""HTTP as bytes, sent to a stack; see tests/support/raw_http.py."""

import re
import socket
import ssl
from collections.abc import Callable
from typing import Any

from tests.e2e.stack import Stack
from tests.support import raw_http
from tests.support.raw_http import SECONDS, Answer


def connect(stack: Stack) -> socket.socket:
    return raw_http.connect(int(stack.settings["HTTP_PORT"]))


def connect_tls(stack: Stack, **options: Any) -> ssl.SSLSocket:
    """A TLS connection; `options` are set on the context that trusts the stack's certificate."""
    context = stack.certificate_trust()
    protocols = options.pop("protocols", ["http/1.1"])
    for name, value in options.items():
        setattr(context, name, value)
    context.set_alpn_protocols(protocols)
    plain = socket.create_connection(("127.0.0.1", int(stack.settings["HTTPS_PORT"])), SECONDS)
    return context.wrap_socket(plain, server_hostname="localhost")


def read_all(
    connection: socket.socket, until: Callable[[bytes], bool] = lambda received: False
) -> bytes:
    """Everything up to the end of the connection, or until `until` has seen enough."""
    received = b""
    try:
        while not until(received) and (chunk := connection.recv(65536)):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def parse(received: bytes) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(":", 1) for line in lines[1:])
    headers = {name.lower(): value.strip() for name, value in pairs}
    return Answer(int(lines[0].split()[1]), headers, body)


def holds_an_answer(received: bytes) -> bool:
    """Whether a whole answer has come, by its Content-Length."""
    head, ended, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(ended and length and len(body) >= int(length[1]))


def ask(stack: Stack, head: str, body: bytes = b"") -> Answer:
    """Send a request line and headers, as given, and read the one answer.

    `Connection: close` is added; line ends are made CRLF. The connection's end is not waited for:
    nginx keeps it open for five seconds after it has refused a body.
    """
    lines = [*head.strip().splitlines(), "Connection: close"]
    with connect(stack) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return parse(read_all(connection, holds_an_answer))
