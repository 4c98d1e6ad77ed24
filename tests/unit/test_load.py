"""The load generator of tests, drills and bench (tests/support/load.py)."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.load import BROKEN, REFUSED, Answer, Load, Request, percentile, statuses
from tests.support.processes import free_port


class Handler(BaseHTTPRequestHandler):
    """Answers 201 to PUT, 200 to GET; /slow takes 0.3 s, /broken ends without an answer."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, bytes, str, int]]

    def do_GET(self) -> None:  # pylint: disable=invalid-name
        length = int(self.headers.get("Content-Length", "0"))
        token = self.headers.get("Authorization", "")
        self.seen.append((self.path, self.rfile.read(length), token, self.client_address[1]))
        if self.path == "/broken":
            self.close_connection = True
            return
        if self.path == "/slow":
            time.sleep(0.3)
        self.send_response(201 if self.command == "PUT" else 200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    do_PUT = do_GET

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


def test_a_total_of_requests_is_sent_in_turn_over_kept_connections(port: int) -> None:
    answers = Load(port, [("GET", "/a"), ("PUT", "/b")], connections=2, total=10).run()

    assert statuses(answers) == {200: 5, 201: 5}
    assert Counter(answer.path for answer in answers) == {"/a": 5, "/b": 5}
    assert len({client for *_, client in Handler.seen}) <= 2


def test_a_request_has_its_own_body_and_headers(port: int) -> None:
    request = Request("PUT", "/a", b"text", {"Authorization": "Bearer token"})

    Load(f"http://127.0.0.1:{port}", iter([request])).run()

    assert [(path, body, token) for path, body, token, _ in Handler.seen] == [
        ("/a", b"text", "Bearer token")
    ]


def test_at_a_constant_rate_requests_are_timed_from_when_they_were_due(port: int) -> None:
    """One connection, a slow answer first: the requests behind it are charged for the wait."""
    paths = [("GET", "/slow"), *[("GET", "/fast")] * 9]

    answers = Load(port, paths, connections=1, rate=100, total=10).run()

    assert [round(b.at - a.at, 6) for a, b in zip(answers, answers[1:], strict=False)] == [0.01] * 9
    assert all(answer.seconds > 0.15 for answer in answers)


def test_a_rate_is_kept_until_it_is_stopped(port: int) -> None:
    with Load(port, [("GET", "/")], rate=50) as load:
        time.sleep(0.5)

    assert 20 <= len(load.answers) <= 30


def test_it_ends_by_itself_after_its_seconds(port: int) -> None:
    assert len(Load(port, [("GET", "/")], rate=100, seconds=0.2).run()) == 20


def test_some_requests_get_a_connection_of_their_own(port: int) -> None:
    Load(port, [("GET", "/")], connections=1, total=10, new_connection_every=5).run()

    assert len({client for *_, client in Handler.seen}) == 3


def test_a_connection_that_ends_before_the_answer_is_broken_and_not_repeated(port: int) -> None:
    answers = Load(port, iter([("GET", "/broken"), ("GET", "/")]), connections=1).run()

    assert [answer.status for answer in answers] == [BROKEN, 200]
    assert [path for path, *_ in Handler.seen] == ["/broken", "/"]


def test_where_nothing_listens_requests_are_refused() -> None:
    assert statuses(Load(free_port(), [("GET", "/")], total=2).run()) == {REFUSED: 2}


def test_each_answer_is_handed_over_with_its_body(port: int) -> None:
    found: list[tuple[str, int, bytes]] = []

    def note(request: Request, answer: Answer, body: bytes) -> None:
        found.append((request.method, answer.status, body))

    Load(port, [("GET", "/")], total=1, on_answer=note).run()

    assert found == [("GET", 200, b"hello")]


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (99.9, 100), (100, 100)])
def test_percentiles_are_readings(percent: float, expected: int) -> None:
    assert percentile([Answer(0, n, 200, "/") for n in range(1, 101)], percent) == expected


def test_no_answers_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no answers"):
        percentile([], 99)
