"""Collectors that cost next to nothing: one that takes what it gets, and three that do not."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.processes import free_port


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    status = 200

    def do_POST(self) -> None:  # pylint: disable=invalid-name
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:  # pylint: disable=arguments-differ
        """Nothing."""


class _Refusing(_Handler):
    status = 503


@contextmanager
def outages() -> Iterator[dict[str, str]]:
    """Addresses of collectors that are gone, that hang and that refuse."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as silent, sink(_Refusing) as refusing:
        yield {
            "gone": f"http://127.0.0.1:{free_port()}",
            "hung": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "refusing": refusing,
        }


@contextmanager
def sink(handler: type[_Handler] = _Handler) -> Iterator[str]:
    """Its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
