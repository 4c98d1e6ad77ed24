"""The log line of each request: one encoding, one system call.

A `LogRecord` on its way through logger, handlers and formatter costs more than a small view does.
Handlers that write plain lines (standard output) get the finished line; any other handler, such as
that of `LOG_FILE`, gets a record as from any logger.
"""

import logging
import os
import select
from datetime import UTC, datetime
from typing import Any

import orjson

from app.config import Settings
from app.utils.logger import LineHandler, static_fields
from app.utils.request_context import RequestContext

REQUEST_LOGGER = "app.request"

_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING)
_LEVEL_NAMES = {level: logging.getLevelName(level) for level in _LEVELS}
# Above PIPE_BUF a pipe may mix what several processes write. JSON needs at most six bytes for each
# character, so fields of this length stay below.
_SHORT = 160
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z


class RequestLog:
    """Writes what the logger `app.request` lets through, to the root logger's handlers."""

    def __init__(self, settings: Settings) -> None:
        self._static = static_fields(settings)
        self._json = settings.log_format == "json"
        self._logger = logging.getLogger(REQUEST_LOGGER)
        self._handlers = logging.getLogger().handlers  # the list itself: it may change

    def write(self, level: int, context: RequestContext, fields: dict[str, Any]) -> None:
        """Log one request; of `fields`, `method`, `path` and `status` make the message."""
        if not self._logger.isEnabledFor(level):
            return
        if fields["status"] >= 500:
            fields["exception"] = context.exception or "None raised: the view answered so"
        for handler in self._handlers:
            if level < handler.level:
                continue
            if self._json and isinstance(handler, LineHandler):
                line = self._line(level, context, fields)
                if len(line) > select.PIPE_BUF:
                    line = self._line(level, context, _shortened(fields))
                handler.write(line)
            else:
                message = _message(fields)
                handler.handle(
                    self._logger.makeRecord(
                        REQUEST_LOGGER, level, __file__, 0, message, (), None, extra=fields
                    )
                )

    def _line(self, level: int, context: RequestContext, fields: dict[str, Any]) -> bytes:
        return orjson.dumps(
            {
                "timestamp": datetime.now(UTC),
                "level": _LEVEL_NAMES[level],
                "logger": REQUEST_LOGGER,
                "message": _message(fields),
                **self._static,
                **fields,
                "request_id": context.request_id,
                "trace_id": context.trace_id,
                "span_id": context.span_id,
                "pid": os.getpid(),
            },
            option=_OPTIONS,
        )


def _message(fields: dict[str, Any]) -> str:
    return f"{fields['method']} {fields['path']} {fields['status']}"


def _shortened(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: f"{value[:_SHORT]}…" if isinstance(value, str) and len(value) > _SHORT else value
        for name, value in fields.items()
    }
