"""Health check: exit status 0 if the exporter answers a scrape. Imports little: it runs often."""

import os
import socket
import sys

with socket.create_connection(("127.0.0.1", int(os.environ.get("EDGE_PORT", "9145"))), 3) as sock:
    sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    sys.exit(b" 200 " not in sock.recv(64))
