"""Questions about a TCP port of this machine: may we have it, and does the service answer there?"""

import errno
import socket
from http.client import HTTPConnection, HTTPException

HOST = "127.0.0.1"
TAKEN = "is taken by another program"


def why_unusable(port: int) -> str:
    """The reason, to be put behind "port N", or "" for a port that can be listened on."""
    with socket.socket() as caller:
        if caller.connect_ex((HOST, port)) == 0:
            return TAKEN
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Gunicorn does
        try:
            listener.bind((HOST, port))
        except OSError as error:
            return TAKEN if error.errno == errno.EADDRINUSE else f"is refused ({error.strerror})"
    return ""


def next_usable(port: int) -> int:
    """The first one after `port` that any user may have; 8080 when there is none."""
    candidates = range(max(port + 1, 1024), 65536)
    return next((other for other in candidates if not why_unusable(other)), 8080)


def answers(port: int) -> bool:
    """Whether /health/live says 200. Goes straight there, whatever proxy the environment names."""
    connection = HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
