"""Gunicorn's response, except that head and body leave together.

Gunicorn sends the head by itself and each part of the body after it, so a small answer costs two
system calls here and wakes nginx twice.
"""

from typing import Any

from gunicorn.http import wsgi

MOST_TOGETHER = 65_536  # bytes; a larger body is not worth the copy


class OneWrite(wsgi.Response):  # type: ignore[misc]
    """Holds the head back until the body's first part, or the end, is there."""

    headers_sent: bool
    _head = b""

    def send_headers(self) -> None:
        """Make the head; `_emit_body` or `close` send it."""
        if self.headers_sent:
            return
        lines = self.default_headers()
        lines += [f"{name}: {value}\r\n" for name, value in self.headers]
        self._head = "".join([*lines, "\r\n"]).encode("latin-1")
        self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        if self.chunked or len(data) > MOST_TOGETHER:
            self._send_head()
            super()._emit_body(data)
        else:
            head, self._head = self._head, b""
            self.sock.sendall(head + data)

    def sendfile(self, respiter: Any) -> bool:
        """Never: files, few and small here, take the way of all bodies."""
        return False

    def close(self) -> None:
        """Send what is left: the head of an answer without a body, the end of a chunked one."""
        self.send_headers()
        self._send_head()
        super().close()

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head:
            self.sock.sendall(head)
