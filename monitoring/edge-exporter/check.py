"""Health check: exit status 0 if the exporter answers a scrape.

Apart from the exporter and with nothing but a socket, because starting it anew every few seconds
would cost more CPU than the exporter itself and hold it up while a line waits.
"""

import os
import socket
import sys

with socket.create_connection(("127.0.0.1", int(os.environ.get("EDGE_PORT", "9145"))), 3) as sock:
    sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    sys.exit(b" 200 " not in sock.recv(64))
