"""Logs: one JSON object a line, with the same fields from every logger, and that of a request."""

import json
import logging
import os
import select
import warnings
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from app.http import request_id
from app.utils import logger, request_context
from app.utils.logger import JsonFormatter, LineHandler
from app.utils.request_context import RequestContext
from app.utils.request_log import REQUEST_LOGGER, RequestLog
from tests.support.app_parts import make_settings


@pytest.fixture
def formatter() -> JsonFormatter:
    return JsonFormatter(make_settings(INSTANCE_ID="web-1", APP_VERSION="1.2.3"))


@pytest.fixture
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:], root.level = handlers, level


def record(message: str, *args: Any, **extra: Any) -> logging.LogRecord:
    made = logging.getLogger("app.test").makeRecord(
        "app.test", logging.INFO, "file.py", 1, message, args, None, extra=extra
    )
    made.created = datetime(2026, 1, 2, 3, 4, 5, 678_000, timezone.utc).timestamp()
    return made


def fields(formatter: JsonFormatter, made: logging.LogRecord) -> dict[str, Any]:
    text = formatter.format(made)
    assert "\n" not in text
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def test_a_line_has_time_level_message_and_origin(formatter: JsonFormatter) -> None:
    assert fields(formatter, record("Hello %s", "you")) == {
        "timestamp": "2026-01-02T03:04:05.678000Z",
        "level": "INFO",
        "logger": "app.test",
        "message": "Hello you",
        "service": "devops-starter",
        "environment": "testing",
        "version": "1.2.3",
        "instance": "web-1",
        "request_id": None,
        "trace_id": None,
        "span_id": None,
        "pid": os.getpid(),
    }


def test_within_a_request_a_line_carries_its_ids_or_its_own(formatter: JsonFormatter) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    environ = {"HTTP_X_REQUEST_ID": "mine", "HTTP_TRACEPARENT": f"00-{trace}-b7ad6b7169203331-01"}
    context = request_id.request_context(environ, request_id.TrustedProxies(()))
    token = request_context.set_current(context)

    written = fields(formatter, record("Hello"))
    own = fields(formatter, record("Hello", request_id="own"))

    request_context.reset(token)
    assert (written["request_id"], written["trace_id"]) == ("mine", trace)
    assert len(written["span_id"]) == 16 and written["span_id"] != "b7ad6b7169203331"
    assert own["request_id"] == "own"


def test_no_text_can_start_a_second_line(formatter: JsonFormatter) -> None:
    forged = 'x\n{"level": "FORGED"}\r\x0b\x1b[31m\u2028'
    written = fields(formatter, record("%s", forged, path=forged))
    assert written["message"] == written["path"] == forged


def test_an_exception_is_in_the_same_line(formatter: JsonFormatter) -> None:
    made = record("Broken")
    with pytest.raises(ZeroDivisionError) as caught:
        raise ZeroDivisionError("why")
    made.exc_info = (caught.type, caught.value, caught.tb)

    written = fields(formatter, made)

    assert written["exception"].startswith("Traceback")
    assert written["exception"].endswith("ZeroDivisionError: why")


def test_a_line_is_written_in_one_piece_and_a_closed_pipe_ignored(formatter: JsonFormatter) -> None:
    reading, writing = os.pipe()
    handler = LineHandler(writing)
    handler.setFormatter(formatter)

    handler.emit(record("x" * 3000))

    text = os.read(reading, 65_536)
    assert text.endswith(b"\n") and text.count(b"\n") == 1
    assert json.loads(text)["message"] == "x" * 3000
    os.close(reading)
    os.close(writing)
    handler.emit(record("Hello"))


@pytest.mark.usefixtures("_root_logger_as_before")
def test_everything_goes_to_the_file_as_well_even_after_rotation(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    logger.configure(make_settings(LOG_FILE=str(path), LOG_LEVEL="WARNING"))

    logging.getLogger("any").warning("first")
    path.rename(tmp_path / "app.log.1")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("second", stacklevel=1)
    logging.getLogger("any").info("too quiet")

    (before,) = (tmp_path / "app.log.1").read_text().splitlines()
    (after,) = path.read_text().splitlines()
    assert json.loads(before)["message"] == "first"
    assert "second" in json.loads(after)["message"]
    assert json.loads(after)["logger"] == "py.warnings"


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
