"""One JSON object a line, for everything: the app, Gunicorn and Python's warnings.

JSON escapes control characters, so a header cannot start a second line. Of a request, a fixed list
of fields is logged: not its body, query, token or cookies. LOG_FORMAT=text is for a terminal.
"""

import logging
import logging.config
import logging.handlers
import os
import sys
from datetime import datetime, timezone
from typing import Any

from pythonjsonlogger.orjson import OrjsonFormatter

from app.config import Settings
from app.utils import request_context

_RECORD_ATTRIBUTES = [*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"]


def static_fields(settings: Settings) -> dict[str, str]:
    return {
        "service": settings.service_name,
        "environment": settings.environment,
        "version": settings.version,
        "instance": settings.instance,
    }


class JsonFormatter(OrjsonFormatter):
    """The fields that every line has, and their names (docs/MONITORING.md)."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            ("timestamp", "levelname", "name", "message"),
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception"},
            static_fields=static_fields(settings),
            reserved_attrs=[*_RECORD_ATTRIBUTES, "color_message"],
        )

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Add the time and the request to what the library takes from the record."""
        time = datetime.fromtimestamp(record.created, timezone.utc)
        record.timestamp = time.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
        super().add_fields(log_data, record, message_dict)
        log_data["pid"] = record.process
        context = request_context.current()
        log_data.setdefault("request_id", context.request_id if context else None)
        log_data.setdefault("trace_id", context.trace_id if context else None)
        log_data.setdefault("span_id", context.span_id if context else None)


class TextFormatter(logging.Formatter):
    """A line for a person at a terminal. Control characters are escaped, as JSON does it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s  %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if duration := getattr(record, "duration_ms", None):
            message += f" {duration:.1f} ms"
        if exception := getattr(record, "exception", None):
            message += f"  {exception}"
        safe = logging.makeLogRecord(vars(record) | {"msg": _visible(message), "args": ()})
        return super().format(safe)


def _visible(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


class LineHandler(logging.Handler):
    """Writes each line with one system call, so that lines of several processes do not mix."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.write((self.format(record) + "\n").encode("utf-8", "backslashreplace"))
        except Exception:  # pylint: disable=broad-exception-caught
            self.handleError(record)

    def write(self, line: bytes) -> None:
        """Write a finished line. An error is ignored: there is nowhere else to report it."""
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError:
            pass


def configuration(settings: Settings) -> dict[str, Any]:
    """The logging configuration, in the form that `logging.config` and Gunicorn both take."""
    handlers: dict[str, Any] = {
        "stdout": {
            "()": LineHandler,
            "descriptor": sys.__stdout__.fileno() if sys.__stdout__ else 1,
            "formatter": settings.log_format,
        }
    }
    if settings.log_file:
        # Opens the file again when log rotation has moved it.
        handlers["file"] = {
            "()": logging.handlers.WatchedFileHandler,
            "filename": settings.log_file,
            "encoding": "utf-8",
            "formatter": settings.log_format,
        }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {"()": JsonFormatter, "settings": settings},
            "text": {"()": TextFormatter},
        },
        "handlers": handlers,
        "root": {"level": settings.log_level, "handlers": list(handlers)},
        "loggers": {
            "gunicorn.error": {"level": settings.log_level, "handlers": [], "propagate": True},
            "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
        },
    }


def configure(settings: Settings) -> None:
    """Send every log record and every Python warning to standard output (and `LOG_FILE`)."""
    logging.config.dictConfig(configuration(settings))
    logging.captureWarnings(True)
