"""The management port (MANAGEMENT_BIND): /metrics and the probes, on threads of their own.

Workers whose threads are all busy still answer here, so full is not taken for dead, and the scrape
that shows why is not lost. All workers share the listener; whichever is free answers.
"""

import logging
import socket
import threading
from functools import partial
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from app.config import Settings, SettingsError
from app.http.middleware import MANAGEMENT, Environ, WsgiApp

log = logging.getLogger(__name__)


class Management:
    """Made in the master, so that the workers inherit the listener; `start` in each worker."""

    def __init__(self, settings: Settings) -> None:
        """Listen, if the settings name an address.

        Raises:
            SettingsError: the address cannot be listened on.
        """
        self._listener: socket.socket | None = None
        self._server: _Server | None = None
        host, _, port = settings.management_bind.rpartition(":")
        if not port:
            return
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            address = host.strip("[]"), int(port)
            self._listener = socket.create_server(address, family=family, backlog=128)
        except OSError as error:
            raise SettingsError(
                f"MANAGEMENT_BIND: {settings.management_bind!r}: {error.strerror};"
                " for example MANAGEMENT_BIND=0.0.0.0:8001"
            ) from error
        self._listener.setblocking(False)  # another worker may have accepted first

    def start(self, application: WsgiApp) -> None:
        """In a worker: answer until `stop`."""
        if self._listener:
            self._server = _Server(self._listener, application)
            serve = partial(self._server.serve_forever, poll_interval=0.1)
            threading.Thread(target=serve, name="management", daemon=True).start()

    def stop(self) -> None:
        """In a worker that ends: finish what is being answered, which takes seconds at most."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()


class _Handler(WSGIRequestHandler):
    timeout = 5  # seconds for a client to send its request, and to read the answer

    def get_environ(self) -> Environ:
        return super().get_environ() | {MANAGEMENT: True}

    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, *_arguments: Any) -> None:  # pylint: disable=arguments-differ
        """The application logs requests."""


class _Server(ThreadingMixIn, WSGIServer):
    def __init__(self, listener: socket.socket, application: WsgiApp) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()
        self.set_app(application)

    def handle_error(self, *_arguments: Any) -> None:
        """Usually a client that went away."""
        log.debug("A request on the management port was not finished", exc_info=True)
