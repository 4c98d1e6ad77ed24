"""The client of Redis: one circuit breaker, and no request that exceeds its time budget."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from hiredis import pack_command
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MasterDownError, OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from app.config import Settings
from app.redis_client.circuit_breaker import CircuitBreaker, State
from app.redis_client.time_budget import TimeBudget
from app.utils import metrics

T = TypeVar("T")
Command = tuple[str | bytes | int | float, ...]

# The number of threads is the limit. The pool counts every connection it has ever made, also those
# that `_ThreadConnections` has lost, so its own default of 100 would refuse reconnects after that.
MAX_CONNECTIONS = 2**31

_UNAVAILABLE = (RedisConnectionError, RedisTimeoutError, ReadOnlyError, MasterDownError)


class RedisFailure(Exception):
    """Redis did not do what it was asked to; `tried` is whether it was asked at all."""

    def __init__(self, reason: str, *, tried: bool = True) -> None:
        super().__init__(reason)
        self.tried = tried


class RedisUnavailable(RedisFailure):
    """Redis does not answer, is too slow, or the circuit to it is open."""


class RedisFull(RedisFailure):
    """Redis refuses writes for lack of memory or disk space; reads still work."""


class RedisClient:
    """Runs commands on Redis, or on the embedded store in its place.

    Every method raises `RedisUnavailable`: at once when the circuit is open or the request's time
    budget is used up, else before the request has waited longer than the budget. Writes that Redis
    refuses for lack of space raise `RedisFull`.
    """

    def __init__(self, settings: Settings, budget: TimeBudget) -> None:
        self.prefix = settings.redis_key_prefix
        self.embedded = settings.embedded_store
        self.breaker = CircuitBreaker(on_change=_publish)
        # The embedded store answers at once: there is nothing to wait for.
        self._budget = None if self.embedded else budget
        self._redis = _embedded() if self.embedded else _connect(settings, budget)
        self._connections = _ThreadConnections(self._redis.connection_pool)
        _publish(State.CLOSED)

    def key(self, *parts: str) -> str:
        """A key in this service's namespace."""
        return self.prefix + ":".join(parts)

    def read(self, *commands: Command) -> list[Any]:
        """Send commands that only read, in one round trip; an answer for each, as RESP3 has it."""
        if self.embedded:
            return self.run(lambda redis: _pipelined(redis, commands, transaction=False))
        return self.run(lambda _: self._connections.exchange(commands))

    def write(self, *commands: Command) -> list[Any]:
        """Run commands as one transaction, in one round trip; an answer for each."""
        return self.run(lambda redis: _pipelined(redis, commands, transaction=True))

    def script(self, source: str) -> Callable[[list[str], list[Any]], Any]:
        """A function of keys and arguments that runs a Lua script as one step."""
        script = self._redis.register_script(source)
        return lambda keys, args: self.run(lambda _: script(keys=keys, args=args))

    def ping(self) -> float:
        """Ask Redis for an answer, and return the milliseconds that it took."""
        started = time.perf_counter()
        self.run(lambda redis: redis.ping())
        return (time.perf_counter() - started) * 1000

    def run(self, operation: Callable[[Redis], T]) -> T:
        """Call `operation` with redis-py's client."""
        budget = self._budget.of_request() if self._budget else None
        if budget and budget.exhausted:
            raise RedisUnavailable("the time budget of this request is used up", tried=False)
        if not self.breaker.allow():
            raise RedisUnavailable("the circuit to Redis is open", tried=False)
        if budget is None:
            return self._attempt(operation)
        budget.start()
        try:
            return self._attempt(operation)
        except RedisUnavailable:
            budget.failed = True
            raise
        finally:
            budget.stop()

    def _attempt(self, operation: Callable[[Redis], T]) -> T:
        started = self.breaker.now()
        try:
            result = operation(self._redis)
        except _UNAVAILABLE as error:
            self.breaker.failure(started)
            raise RedisUnavailable(f"Redis is unavailable: {error}") from error
        except BaseException as error:
            self.breaker.success()  # Redis has answered, or the error is the caller's
            if _refused_for_lack_of_space(error):
                raise RedisFull("Redis refuses writes for lack of memory or disk space") from error
            raise
        self.breaker.success()
        return result


class _ThreadConnections:
    """One connection for each thread, for reads.

    redis-py's client and pipeline take a connection from the pool and give it back, check whether
    it is still open, and pass each command through several layers: more than half of what a small
    read costs (docs/PERFORMANCE.md). This uses the library's connection and its parser directly.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._thread = threading.local()

    def exchange(self, commands: tuple[Command, ...]) -> list[Any]:
        """Send the commands and read their answers.

        The commands are sent a second time when Redis has closed the connection since its last use.
        """
        connection = getattr(self._thread, "connection", None)
        if connection is not None and connection.pid == os.getpid():
            try:
                return _exchange(connection, commands)
            except RedisConnectionError:
                pass  # a new connection shows whether Redis is unavailable
        self._thread.connection = connection = self._pool.make_connection()
        return _exchange(connection, commands)


def _exchange(connection: Any, commands: tuple[Command, ...]) -> list[Any]:
    try:
        packed = b"".join(pack_command(command) for command in commands)  # type: ignore[arg-type]
        connection.send_packed_command([packed], check_health=False)
        return [connection.read_response() for _ in commands]
    except BaseException:
        connection.disconnect()  # the next caller must not read the rest of these answers
        raise


def _pipelined(redis: Redis, commands: tuple[Command, ...], *, transaction: bool) -> list[Any]:
    pipeline = redis.pipeline(transaction=transaction)
    for command in commands:
        pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
    return pipeline.execute()


def _refused_for_lack_of_space(error: BaseException) -> bool:
    if isinstance(error, OutOfMemoryError):
        return True
    # Scripts get it as text. MISCONF: snapshots or the append-only file cannot be written.
    return isinstance(error, ResponseError) and ("OOM" in str(error) or "MISCONF" in str(error))


def _publish(state: State) -> None:
    metrics.CIRCUIT_STATE.set(int(state))


def _embedded() -> Redis:
    # Imported here: a service with a real Redis does not need to load it.
    import fakeredis  # pylint: disable=import-outside-toplevel

    return fakeredis.FakeRedis(server=fakeredis.FakeServer(), protocol=3, legacy_responses=False)


def _connect(settings: Settings, budget: TimeBudget) -> Redis:
    """A client that fails fast: redis-py's defaults are a timeout of 5 s and ten retries.

    One attempt only, because a repeated write may count twice. The pool notices idle connections
    that Redis has closed. Maintenance notifications are a feature of managed Redis and would cost a
    round trip for each connection.
    """
    pool = ConnectionPool.from_url(
        settings.redis_url,
        username=settings.redis_username,
        password=settings.redis_password,
        retry=Retry(NoBackoff(), 0),
        protocol=3,
        legacy_responses=False,
        driver_info=None,
        max_connections=MAX_CONNECTIONS,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    return Redis(connection_pool=budget.bind(pool))
