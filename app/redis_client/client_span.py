"""The span of a round trip to Redis, by OpenTelemetry's semantic conventions for Redis.

It names the commands, never keys or values, which may be secrets.
"""

from functools import lru_cache
from urllib.parse import urlsplit

from app.config import Settings
from app.utils.spans import Attributes, Description, Kind, Span, Trace

Command = tuple[str | bytes | int | float, ...]
What = str | tuple[Command, ...]
"""The name of a command, or commands that are sent together."""


class ClientSpans:
    """Makes the spans of one client."""

    def __init__(self, settings: Settings) -> None:
        url = urlsplit(settings.redis_url)
        self._static: Attributes = {"db.system.name": "redis"}
        if url.hostname and not settings.redis_sentinels:
            self._static |= {"server.address": url.hostname, "server.port": url.port or 6379}
        self._description = lru_cache(maxsize=256)(self._described)

    def span(self, trace: Trace, what: What, batch: str) -> Span:
        """A round trip. `batch` is what several commands are called: PIPELINE or MULTI."""
        procedure = what[0][1] if what[0][0] == "EVALSHA" else ""
        size = 1 if isinstance(what, str) else len(what)
        is_a = self._description(name_of(what), batch, size, str(procedure))
        return trace.span(is_a, Kind.CLIENT)

    def _described(self, names: str, batch: str, size: int, procedure: str) -> Description:
        attributes = {
            **self._static,
            "db.operation.name": batch if size > 1 else names,
            "db.query.summary": names,
        }
        if size > 1:
            attributes["db.operation.batch.size"] = size
        if procedure:
            attributes["db.stored_procedure.name"] = procedure
        return Description(names, attributes)


def name_of(what: What) -> str:
    """The names of the commands."""
    return what if isinstance(what, str) else " ".join([str(each[0]) for each in what])
