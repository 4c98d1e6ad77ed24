"""The line of a request: the same whether it is written directly or by way of a record."""

import json
import logging
import select
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from app.utils import request_context
from app.utils.logger import JsonFormatter, LineHandler
from app.utils.request_context import RequestContext
from app.utils.request_log import REQUEST_LOGGER, RequestLog
from tests.support.app_parts import make_settings

CONTEXT = RequestContext("an-id", "a-trace", "192.0.2.7")
FIELDS = {
    "method": "GET",
    "path": "/caf\u00e9\n\u2028",
    "route": "/<name>",
    "status": 200,
    "duration_ms": 1.25,
    "bytes": 5,
    "client_ip": "192.0.2.7",
    "user_agent": 'x" \x7f\xff',
}


class Kept(LineHandler):
    def __init__(self) -> None:
        super().__init__(-1)
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)


class KeptRecords(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.formatter = JsonFormatter(make_settings())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture(name="handlers")
def _handlers() -> Iterator[tuple[Kept, KeptRecords]]:
    root, both = logging.getLogger(), (Kept(), KeptRecords())
    level = root.level
    root.setLevel(logging.INFO)
    for handler in both:
        root.addHandler(handler)
    token = request_context.set_current(CONTEXT)
    yield both
    request_context.reset(token)
    for handler in both:
        root.removeHandler(handler)
    root.setLevel(level)


def test_the_line_is_the_same_on_both_ways(handlers: tuple[Kept, KeptRecords]) -> None:
    direct, formatted = handlers

    RequestLog(make_settings()).write(logging.WARNING, CONTEXT, FIELDS)

    def parsed(line: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(line)
        time = datetime.fromisoformat(found.pop("timestamp"))
        assert time.tzinfo is not None
        return found

    assert parsed(direct.lines[0]) == parsed(formatted.lines[0])
    assert parsed(direct.lines[0])["level"] == "WARNING"
    assert direct.lines[0].endswith(b"\n") and direct.lines[0].count(b"\n") == 1


@pytest.mark.parametrize("sign", ["x", "\x01", "\u6f22", "\U0001f600"])
def test_a_line_fits_in_a_pipe_at_once(handlers: tuple[Kept, KeptRecords], sign: str) -> None:
    long = {"path": "/" + sign * 4000, "user_agent": sign * 8000}

    RequestLog(make_settings()).write(logging.INFO, CONTEXT, FIELDS | long)

    line = handlers[0].lines[0]
    parsed = json.loads(line)
    assert len(line) <= select.PIPE_BUF
    assert parsed["path"] == "/" + sign * 159 + "…"
    assert parsed["route"] == FIELDS["route"]


def test_levels_of_logger_and_handler_are_heeded(
    handlers: tuple[Kept, KeptRecords], caplog: pytest.LogCaptureFixture
) -> None:
    direct, formatted = handlers
    log = RequestLog(make_settings())

    direct.setLevel(logging.ERROR)
    log.write(logging.INFO, CONTEXT, FIELDS)
    assert (len(direct.lines), len(formatted.lines)) == (0, 1)

    caplog.set_level(logging.ERROR, REQUEST_LOGGER)
    log.write(logging.INFO, CONTEXT, FIELDS)
    assert len(formatted.lines) == 1
