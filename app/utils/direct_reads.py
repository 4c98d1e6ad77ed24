"""Reads in one round trip over a connection of the thread's own.

redis-py's client and pipeline take a connection from the pool and give it back, look whether it is
still open, and pass each command through several layers: more than half of what a small read costs
(docs/PERFORMANCE.md). This uses the library's connection and time-outs and the
parser in C directly.
"""

import os
import threading
from collections.abc import Sequence
from typing import Any

from hiredis import pack_command
from redis import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError

Command = tuple[str | bytes | int, ...]


class DirectReads:
    """Sends commands that may be repeated, and returns their answers.

    Args:
        pool: makes the connections; they stay with their threads and never enter it.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._own = threading.local()

    def __call__(self, commands: Sequence[Command]) -> list[Any]:
        """The answers, one per command.

        Args:
            commands: reads only: they are sent again when the connection, unused for a while, turns
                out to have been closed by Redis.

        Raises:
            redis.exceptions.RedisError: as redis-py's client does.
        """
        connection = getattr(self._own, "connection", None)
        if connection is not None and connection.pid == os.getpid():
            try:
                return self._exchange(connection, commands)
            except RedisConnectionError:
                pass  # a connection of earlier on; a new one shows whether Redis is away
        self._own.connection = connection = self._pool.make_connection()
        return self._exchange(connection, commands)

    @staticmethod
    def _exchange(connection: Any, commands: Sequence[Command]) -> list[Any]:
        try:
            packed = b"".join(_pack(command) for command in commands)
            connection.send_packed_command([packed], check_health=False)
            return [connection.read_response() for _ in commands]
        except BaseException:
            connection.disconnect()  # or the next caller would read what is left of this answer
            raise


def _pack(command: Command) -> bytes:
    packed: bytes = pack_command(command)  # type: ignore[arg-type]  # its stub: a tuple of one
    return packed
