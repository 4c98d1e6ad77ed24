"""The load generator of tests, drills and bench (tests/support/load.py)."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.load import BROKEN, REFUSED, Answer, Load, percentile, statuses
from tests.support.processes import free_port


class Handler(BaseHTTPRequestHandler):
    """/slow takes 0.3 s, /broken ends without an answer."""

    protocol_version = "HTTP/1.1"
    seen: list[str]

    def do_GET(self) -> None:  # pylint: disable=invalid-name
        self.seen.append(self.path)
        if self.path == "/broken":
            self.close_connection = True
            return
        if self.path == "/slow":
            time.sleep(0.3)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


@pytest.fixture(name="port")
def _port() -> Iterator[int]:
    Handler.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_at_a_constant_rate_requests_are_timed_from_when_they_were_due(port: int) -> None:
    """One connection, a slow answer first: the requests behind it are charged for the wait."""
    paths = [("GET", "/slow"), *[("GET", "/fast")] * 9]
    answers = Load(port, paths, connections=1, rate=100, total=10).run()
    assert [round(b.at - a.at, 6) for a, b in zip(answers, answers[1:], strict=False)] == [0.01] * 9
    assert all(answer.seconds > 0.15 for answer in answers)


def test_a_connection_that_ends_before_the_answer_is_broken_and_not_repeated(port: int) -> None:
    answers = Load(port, iter([("GET", "/broken"), ("GET", "/")]), connections=1).run()
    assert [answer.status for answer in answers] == [BROKEN, 200]
    assert Handler.seen == ["/broken", "/"]


def test_where_nothing_listens_requests_are_refused() -> None:
    assert statuses(Load(free_port(), [("GET", "/")], total=2).run()) == {REFUSED: 2}


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (99.9, 100), (100, 100)])
def test_percentiles_are_readings(percent: float, expected: int) -> None:
    assert percentile([Answer(0, n, 200, "/") for n in range(1, 101)], percent) == expected
