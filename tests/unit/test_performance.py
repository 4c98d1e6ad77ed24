"""The bench: its arithmetic, its page, its changes of nginx, and the load generator."""

import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scripts.lib import nginx_dump
from tests.performance import bench, machine, proxy
from tests.performance.capacity import parse
from tests.performance.targets import Figures, Target, figure, noise, ratio
from tests.support.load import BROKEN, REFUSED, Answer, Load, percentile, statuses
from tests.support.processes import free_port

WRK = """Running 2s test @ http://127.0.0.1:8000/api/v1/info
  1 threads and 32 connections
  2000 requests in 2.00s, 3.11MB read
{extra}Requests/sec:   1000.50
Transfer/sec:      1.55MB
"""


def figures(**of: float) -> Figures:
    return {"redis": {name: figure([median]) for name, median in of.items()}}


def test_a_ratio_compares_readings_of_the_same_round() -> None:
    """The machine slowed down after the first round: the ratio stays."""
    assert ratio(figure([20, 10, 10]), figure([10, 5, 5])) == 2.0
    assert ratio(figure([30]), figure([10, 20])) == 2.0


def test_a_few_failed_requests_are_tolerated_and_many_are_not() -> None:
    assert parse(WRK.format(extra="  Non-2xx or 3xx responses: 20\n")) == 1000.5
    errors = "Socket errors: connect 0, read 9, write 0, timeout 20"
    for line in ("Non-2xx or 3xx responses: 21", errors):
        with pytest.raises(RuntimeError, match="too many failed"):
            parse(WRK.format(extra=f"  {line}\n"))


@pytest.mark.parametrize(
    ("bound", "met"),
    [("≥ 2", {19: False, 20: True, 21: True}), ("≤ 2", {19: True, 20: True, 21: False})],
)
def test_a_bound_is_met_at_its_value(bound: str, met: dict[int, bool]) -> None:
    for value, ok in met.items():
        verdict = Target("redis", "ours", "before", bound).verdict(figures(ours=value, before=10))
        assert (verdict["value"], verdict["target"], verdict["ok"]) == (value / 10, bound, ok)


def test_a_target_that_was_not_measured_is_not_met() -> None:
    verdict = Target("redis", "ours", "fastapi", "≥ 1").verdict(figures(ours=1))
    assert verdict["value"] is None and not verdict["ok"]


def test_the_noise_is_the_difference_of_the_pair_of_equals() -> None:
    assert noise(figures(**{"ours": 100, "ours again": 80})) == pytest.approx(0.2)
    assert noise(figures(ours=100)) is None


@pytest.mark.parametrize(
    "arguments",
    [
        "--only speed",
        "--against /no/such/folder",
        f"--against {machine.MEMORY}",
        "--docs --only start",
    ],
)
def test_a_wrong_option_ends_with_usage(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="^2$"):
        bench.parse(arguments.split())
    assert "error: " in capsys.readouterr().err


def test_the_page_shows_the_table_of_the_last_run() -> None:
    result = json.loads(bench.RESULT.read_text(encoding="utf-8"))
    page = bench.PAGE.read_text(encoding="utf-8")
    assert page == bench.filled(page, result)


@pytest.mark.parametrize("substitution", proxy.SUBSTITUTIONS, ids=lambda each: each[2])
def test_every_substitution_still_finds_its_place(substitution: tuple[str, str, str]) -> None:
    filled = {"folder": "/dev/shm/x", "port": "1", "upstream": "u"}
    site = nginx_dump.nginx_settings.site(nginx_dump.SOURCE, nginx_dump.defaults())
    texts = [content.decode() for content in site.values()]
    assert any(re.search(substitution[0].format(**filled), text) for text in texts)


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
