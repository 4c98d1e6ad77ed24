"""The line of each request: one encoding, one system call.

A `LogRecord` on its way through logger, handlers and formatter costs more than a small view does.
Whoever writes plain lines (standard output) gets the finished line here; any other handler, such
as that of `LOG_FILE` or one that somebody adds, gets the record as from any logger.
"""

import logging
import select
from datetime import UTC, datetime
from typing import Any

import orjson

from app.config import Settings
from app.utils.logger import REQUEST_LOGGER, LineHandler, static_fields
from app.utils.request_context import RequestContext

_NAMES = {level: logging.getLevelName(level) for level in (logging.INFO, logging.WARNING)}

# Beyond this a pipe may mix what several processes write; SHORT characters of each field, each of
# which JSON may need six bytes for, stay below.
_MOST_BYTES = select.PIPE_BUF
_SHORT = 160

_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z


class RequestLog:
    """Writes what the logger `app.request` lets through, to the root logger's handlers."""

    def __init__(self, settings: Settings) -> None:
        self._static = static_fields(settings)
        self._logger = logging.getLogger(REQUEST_LOGGER)
        self._handlers = logging.getLogger().handlers  # the list itself: it may change

    def write(self, level: int, context: RequestContext, fields: dict[str, Any]) -> None:
        """Log one request.

        Args:
            level: a level of `logging`.
            context: the request's identifiers.
            fields: what else the line says; `method`, `path` and `status` make its message.
        """
        if not self._logger.isEnabledFor(level):
            return
        for handler in self._handlers:
            if level < handler.level:
                continue
            if isinstance(handler, LineHandler):
                line = self._line(level, context, fields)
                if len(line) > _MOST_BYTES:
                    line = self._line(level, context, _shortened(fields))
                handler.write(line)
            else:
                self._hand_over(handler, level, fields)

    def _line(self, level: int, context: RequestContext, fields: dict[str, Any]) -> bytes:
        return orjson.dumps(
            {
                "timestamp": datetime.now(UTC),
                "level": _NAMES[level],
                "logger": REQUEST_LOGGER,
                "message": _message(fields),
                **self._static,
                **fields,
                "request_id": context.request_id,
                "trace_id": context.trace_id,
            },
            option=_OPTIONS,
        )

    def _hand_over(self, handler: logging.Handler, level: int, fields: dict[str, Any]) -> None:
        handler.handle(
            self._logger.makeRecord(
                REQUEST_LOGGER, level, __file__, 0, _message(fields), (), None, extra=fields
            )
        )


def _message(fields: dict[str, Any]) -> str:
    return f"{fields['method']} {fields['path']} {fields['status']}"


def _shortened(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: f"{value[:_SHORT]}…" if isinstance(value, str) and len(value) > _SHORT else value
        for name, value in fields.items()
    }
