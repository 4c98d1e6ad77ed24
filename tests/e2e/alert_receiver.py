"""A webhook receiver: writes each message of Alertmanager as a line of JSON."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # pylint: disable=invalid-name
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(json.dumps(body), flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:  # pylint: disable=arguments-differ
        """Standard output is for alerts."""


HTTPServer(("", 8099), Receiver).serve_forever()
