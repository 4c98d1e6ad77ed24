"""A TCP proxy in the test: a slow network, or a name that moves to another server."""

import socket
import threading
import time


class TcpProxy:
    """Passes connections on to the port `target`, each answer late by `delay` seconds."""

    def __init__(self, target: int) -> None:
        self.delay = 0.0
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for source, sink, late in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, late), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, late: bool) -> None:
        try:
            while data := source.recv(65536):
                if late:
                    time.sleep(self.delay)
                sink.sendall(data)
        except OSError:
            pass
        sink.close()
