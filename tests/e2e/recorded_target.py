"""Serves /recorded/metrics on port 8080: a scrape target with constant metrics."""

from http.server import HTTPServer, SimpleHTTPRequestHandler


class Recorded(SimpleHTTPRequestHandler):
    extensions_map = {"": "text/plain; version=0.0.4"}

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments, directory="/recorded")  # type: ignore[arg-type]

    def log_message(self, *_arguments: object) -> None:  # pylint: disable=arguments-differ
        """No log."""


HTTPServer(("", 8080), Recorded).serve_forever()
