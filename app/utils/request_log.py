"""The line of each request: one encoding, one system call.

A `LogRecord` on its way through logger, handlers and formatter costs more than a small view does.
Whoever writes plain lines (standard output) gets the finished line here; any other handler, such
as that of `LOG_FILE` or one that somebody adds, gets the record as from any logger.
"""

import logging
from datetime import UTC, datetime
from typing import Any

import orjson

from app.config import Settings
from app.utils.logger import REQUEST_LOGGER, LineHandler, static_fields
from app.utils.request_context import RequestContext

_NAMES = {level: logging.getLevelName(level) for level in (logging.INFO, logging.WARNING)}

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
        message = f"{fields['method']} {fields['path']} {fields['status']}"
        for handler in self._handlers:
            if level < handler.level:
                continue
            if isinstance(handler, LineHandler):
                handler.write(self._line(level, message, context, fields))
            else:
                self._hand_over(handler, level, message, fields)

    def _line(
        self, level: int, message: str, context: RequestContext, fields: dict[str, Any]
    ) -> bytes:
        return orjson.dumps(
            {
                "timestamp": datetime.now(UTC),
                "level": _NAMES[level],
                "logger": REQUEST_LOGGER,
                "message": message,
                **self._static,
                **fields,
                "request_id": context.request_id,
                "trace_id": context.trace_id,
            },
            option=_OPTIONS,
        )

    def _hand_over(
        self, handler: logging.Handler, level: int, message: str, fields: dict[str, Any]
    ) -> None:
        handler.handle(
            self._logger.makeRecord(
                REQUEST_LOGGER, level, __file__, 0, message, (), None, extra=fields
            )
        )
