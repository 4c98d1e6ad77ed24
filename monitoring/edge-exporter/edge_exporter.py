"""Counts nginx's access log for Prometheus: statuses, times, upstream attempts, rate limiting.

For each request nginx sends a JSON line (`counted` in docker/nginx/includes/logging.conf) to the
Unix socket EDGE_SOCKET (/run/edge/access.sock) as a syslog datagram, for which it never waits: a
stopped exporter delays no request. /metrics is on EDGE_PORT (9145). The error log, to `error.sock`
beside it, is printed (error_log.py).
"""

import json
import os
import re
import signal
import socket
import sys
import threading
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from itertools import product
from pathlib import Path

import error_log
from prometheus_client import CollectorRegistry, Counter, Histogram, MetricsHandler
from prometheus_client import disable_created_metrics

DATAGRAM_BYTES = 65_536
# The service's own buckets, so that the two can be compared.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Counted as 0 from the start: every failure, one of each other class, and what alerts name.
# 499: the client left.
STATUSES = [200, 304, 401, 403, 429, 499, *(status.value for status in HTTPStatus if status >= 500)]
TRAFFIC = ("users", "other")
# Not the users': unknown paths, probes and scrapes, the demo routes (they fail on request), and
# requests that were never readable (no path at all).
OTHER = re.compile(r"unmatched$|/(health|metrics)(/|$)|/api/v1/demo/|$")


class EdgeMetrics:  # pylint: disable=too-many-instance-attributes
    """The counters, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry, buckets=BUCKETS)
        text = "Requests answered by nginx; traffic: users, or other (probes, demo, unknown paths)."
        self.requests = counter("edge_requests", text, ["status", "traffic"])
        text = "Answers of the service, retries included."
        self.attempts = counter("edge_upstream_attempts", text, ["status"])
        text = "Requests under the rate limit, by result."
        self.rate_limit = counter("edge_rate_limit", text, ["result"])
        self.bytes = counter("edge_response_bytes", "Bytes of bodies sent to clients.")
        self.unreadable = counter("edge_unreadable_lines", "Log lines that could not be read.")
        text = "From the first byte of a request to the last of its answer, client included."
        self.duration = histogram("edge_request_duration_seconds", text)
        text = "Time spent on the service, all attempts of a request together."
        labels = ["traffic", "status_class"]
        self.upstream_duration = histogram("edge_upstream_duration_seconds", text, labels)
        # A counter that is absent until its first event hides that event from `increase()`.
        self._children: dict[tuple[int, str], tuple[Counter, Histogram]] = {}
        for status, traffic in product(STATUSES, TRAFFIC):
            self._series(status, traffic)
        for status in STATUSES:
            self.attempts.labels(str(status))
        for result in ("passed", "delayed", "rejected"):
            self.rate_limit.labels(result)

    def count(self, datagram: bytes) -> None:
        """Count the request of one syslog message."""
        try:
            line = json.loads(datagram[datagram.index(b"{") :])
            status, traffic = int(line["status"]), "users"
            if OTHER.match(line["route"] or line["path"]):
                traffic = "other"
            sent, seconds = float(line["bytes"]), float(line["request_time"])
            upstream = [float(part) for part in _parts(line["upstream_response_time"])]
            attempts, result = _parts(line["upstream_status"]), line["rate_limit"].lower()
        except (ValueError, KeyError, TypeError, AttributeError):
            self.unreadable.inc()
            return
        requests, upstream_duration = self._series(status, traffic)
        requests.inc()
        self.bytes.inc(sent)
        self.duration.observe(seconds)
        if upstream:
            upstream_duration.observe(sum(upstream))
        for attempt in attempts:
            self.attempts.labels(attempt).inc()
        if result:
            self.rate_limit.labels(result).inc()

    def _series(self, status: int, traffic: str) -> tuple[Counter, Histogram]:
        # Looking up a labelled child costs as much as reading the line.
        found = self._children.get((status, traffic))
        if found is None:
            times = self.upstream_duration.labels(traffic, f"{status // 100}xx")
            found = self.requests.labels(str(status), traffic), times
            self._children[status, traffic] = found
        return found


def _parts(field: str) -> list[str]:
    """One part per attempt: nginx separates them by commas, and by colons after a redirect."""
    parts = (part.strip() for part in field.replace(":", ",").split(","))
    return [part for part in parts if part and part != "-"]


def listen(path: Path) -> socket.socket:
    """A datagram socket at `path`; replaces the one of an earlier run."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(path))
    os.chmod(path, 0o666)  # nosec B103: nginx runs as another user
    return sock


class Scrape(MetricsHandler):
    """Answers in the text format, whatever `Accept` says: the library fails at some headers."""

    def do_GET(self) -> None:
        del self.headers["Accept"]
        super().do_GET()


class Server(ThreadingHTTPServer):
    """Over IPv4 and IPv6; prints one line for what fails, where the library prints a traceback."""

    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exception()
        if not isinstance(error, ConnectionError):  # the scraper has left
            said = f"A scrape failed: {error!r}"
            print(
                error_log.line("ERROR", "edge-exporter", said, service="edge-exporter"), flush=True
            )


def main() -> None:
    """Serve until SIGTERM."""
    port = int(os.environ.get("EDGE_PORT", "9145"))
    path = Path(os.environ.get("EDGE_SOCKET", "/run/edge/access.sock"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    disable_created_metrics()  # type: ignore[no-untyped-call]
    # The kernel holds few datagrams (net.unix.max_dgram_qlen) and nginx drops the others: during a
    # scrape, this thread must not wait for the usual 5 ms.
    sys.setswitchinterval(0.0005)
    metrics = EdgeMetrics()
    # Fails if another exporter runs: before its socket is replaced.
    server = Server(("", port), Scrape.factory(metrics.registry))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sock = listen(path)
    errors = listen(path.with_name("error.sock"))
    threading.Thread(target=error_log.listen, args=(errors,), daemon=True).start()
    said = f"Counting the lines sent to {path}, metrics on port {port}"
    print(error_log.line("INFO", "edge-exporter", said, service="edge-exporter"), flush=True)
    while True:
        metrics.count(sock.recv(DATAGRAM_BYTES))


if __name__ == "__main__":
    main()
