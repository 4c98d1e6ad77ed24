"""The client of Redis: one circuit breaker, and no request that exceeds its time budget."""

import os
import re
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from hiredis import pack_command
from redis import ConnectionPool, Redis
from redis.commands.core import Script
from redis.exceptions import (
    AuthenticationError,
    DataError,
    InvalidResponse,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.config import Settings
from app.redis_client import client_span, connect
from app.redis_client.circuit_breaker import CircuitBreaker, State
from app.redis_client.client_span import ClientSpans, What, name_of
from app.redis_client.time_budget import NOT_SENT, TimeBudget
from app.redis_client.trouble import Trouble, cause, code
from app.utils import metrics, tracing
from app.utils.spans import Span

T = TypeVar("T")
Command = client_span.Command

# After this long, a thread connects anew for its reads: the name may belong to another server now,
# and the former one, as a replica, would go on answering them.
READ_CONNECTION_SECONDS = 30.0

# No answer, or none of a Redis. Any other error is an answer, and the next one may be better.
_NO_ANSWER = (RedisConnectionError, RedisTimeoutError, InvalidResponse)

# Codes of answers that a server gives which is not the primary, or was cut off from its replicas.
_NOT_PRIMARY = {"READONLY", "NOREPLICAS", "MASTERDOWN"}

# Of the remaining time; the rest is left for the answer to arrive.
_WAIT_SHARE = 0.8

# Deletes up to 500 keys that have ended.
_DELETE_ENDED = """
local ended = redis.call('ZRANGE', KEYS[1], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, 500)
if #ended == 0 then return 0 end
redis.call('DEL', unpack(ended))
return redis.call('ZREM', KEYS[1], unpack(ended))
"""


# A write that changes nothing, and that a full Redis does as well: WAIT covers what is before it.
_CONFIRM = """
redis.call('EXPIRE', KEYS[1], 60)
return redis.call('PERSIST', KEYS[1])
"""


class RedisFailure(Exception):
    """Redis did not do what it was asked to; `tried` is whether it was asked at all."""

    maybe_stored = False
    """Whether it was asked to write, and may have done so without saying it."""

    def __init__(self, reason: str, *, tried: bool = True) -> None:
        super().__init__(reason)
        self.tried = tried


class RedisUnavailable(RedisFailure):
    """Redis does not answer, is too slow, or the circuit to it is open."""


class RedisRefused(RedisUnavailable):
    """Redis answered that it does not do this, as a replica does to a write; others may work."""


class RedisFull(RedisFailure):
    """Redis refuses writes for lack of memory or disk space; reads still work."""


class NotReplicated(RedisError):
    """A write is stored, but not on as many replicas as REDIS_WAIT_REPLICAS demands."""


class RedisClient:  # pylint: disable=too-many-instance-attributes
    """Runs commands on Redis, or on the embedded store in its place.

    Every method raises `RedisUnavailable`: at once when the circuit is open or the request's time
    budget is used up, else before the request has waited longer than the budget. Writes that Redis
    refuses for lack of space raise `RedisFull`.

    What has to fail fast (the cache) and what may wait (data) have a client each, with a budget, a
    circuit and connections of its own. They share `trouble`; its log lines tell them by `purpose`.
    """

    def __init__(
        self,
        settings: Settings,
        budget: TimeBudget,
        trouble: Trouble | None = None,
        purpose: str = "data",
    ) -> None:
        self.prefix = settings.redis_key_prefix
        self.embedded = settings.embedded_store
        self.trouble = trouble or Trouble()
        self._wait_replicas = 0 if self.embedded else settings.redis_wait_replicas
        self._purpose = purpose
        self._failure = ""
        self._spans = ClientSpans(settings) if settings.traces_url else None
        self.breaker = CircuitBreaker(on_change=self._publish)
        # The embedded store answers at once: there is nothing to wait for.
        self._budget = None if self.embedded else budget
        self._redis = connect.embedded() if self.embedded else connect.client(settings, budget)
        self._connections = _ThreadConnections(self._redis.connection_pool)
        self._login = _login(settings)
        self.renew_login: Callable[[], None] = lambda: None
        """Called when Redis refuses the user or password: may call `log_in`."""
        self.ends_key = self.key("ends")
        """Sorted set of keys by the time when they end."""
        self._delete_ended = self.script(_DELETE_ENDED)
        self._confirm = self.script(_CONFIRM, replicated=True)
        self._publish(State.CLOSED)

    def key(self, *parts: str) -> str:
        """A key in this service's namespace."""
        return self.prefix + ":".join(parts)

    def ends(self, key: str, seconds: float) -> Command:
        """The command that makes a key of data end in some seconds.

        A full Redis evicts whatever has a time to live, so only cache entries have one. The ends of
        data are in a sorted set instead, and `delete_ended` keeps to them.
        """
        return "ZADD", self.ends_key, time.time() + seconds, key

    def delete_ended(self) -> None:
        """Delete data that has ended, and see whether replicas confirm again; a periodic task."""
        self._delete_ended([self.ends_key], [time.time()])
        if self.trouble.refusal:
            self.confirm(self.ends_key)

    def confirm(self, key: str) -> None:
        """Return when REDIS_WAIT_REPLICAS replicas have what this key, which exists, holds."""
        if self._wait_replicas:
            self._confirm([key], [])

    def read(self, *commands: Command) -> list[Any]:
        """Send commands that only read, in one round trip; an answer for each, as RESP2 has it."""
        if self.embedded:
            return self.run(lambda redis: _exchange_embedded(redis, commands), commands)
        return self.run(lambda _: self._connections.exchange(commands), commands)

    def write(self, *commands: Command) -> list[Any]:
        """Run commands as one transaction, in one round trip; an answer for each."""
        return self._run_write(lambda redis: _transaction(redis, commands), commands)

    def script(
        self, source: str, replicated: bool = False
    ) -> Callable[[list[str], list[Any]], Any]:
        """A function of keys and arguments that runs a Lua script as one step.

        With `replicated`, it returns only when REDIS_WAIT_REPLICAS replicas have what the script
        wrote. If they are too few, it raises `RedisRefused`, and `maybe_stored` is set.
        """
        script = self._redis.register_script(source)
        what = (("EVALSHA", script.sha),)
        if not (replicated and self._wait_replicas):
            return lambda keys, args: self._run_write(
                lambda redis: script(keys=keys, args=args, client=redis), what
            )
        return lambda keys, args: self._run_write(
            lambda redis: self._replicated(redis, script, (len(keys), *keys, *args)), what, True
        )

    def ping(self) -> float:
        """Ask Redis for an answer, and return the milliseconds that it took."""
        started = time.perf_counter()
        self.run(lambda redis: redis.ping(), "PING")
        return (time.perf_counter() - started) * 1000

    def run(
        self, operation: Callable[[Redis], T], what: What = "a command", batch: str = "PIPELINE"
    ) -> T:
        """Call `operation` with redis-py's client; errors and spans say that it does `what`."""
        budget = self._budget.of_request() if self._budget else None
        if budget and budget.exhausted:
            tracing.event("redis.time_budget_exhausted")
            raise RedisUnavailable("the time budget of this request is used up", tried=False)
        if not self.breaker.allow():
            tracing.event("redis.circuit_open")
            raise RedisUnavailable(f"the circuit to Redis is open: {self._failure}", tried=False)
        attempt = self._attempt
        if self._spans is not None and (trace := tracing.current()) is not None:
            attempt = partial(self._traced, self._spans.span(trace, what, batch))
        if budget is None:
            return attempt(operation, what)
        budget.start()
        try:
            return attempt(operation, what)
        except RedisUnavailable as error:
            budget.failed = not isinstance(error, RedisRefused)
            raise
        finally:
            budget.stop()

    def _traced(self, span: Span, operation: Callable[[Redis], T], what: What) -> T:
        with span:
            try:
                return self._attempt(operation, what)
            except RedisFailure as error:
                reason = error.__cause__
                span.fail(code(reason if isinstance(reason, Exception) else error), str(error))
                raise

    def _run_write(
        self, operation: Callable[[Redis], T], what: What, replicated: bool = False
    ) -> T:
        try:
            result = self.run(operation, what, "MULTI")
        except RedisUnavailable as error:
            error.maybe_stored = _maybe_done(error.__cause__)
            raise
        # Where replicas must confirm, a write that did not wait for them proves nothing.
        if self.trouble.refusal and (replicated or not self._wait_replicas):
            self.trouble.wrote()
        return result

    def _replicated(self, redis: Redis, script: Script, arguments: tuple[Any, ...]) -> Any:
        """Run a script, and WAIT on the same connection; one round trip."""
        remaining = self._budget.remaining() if self._budget else 0.0
        milliseconds = max(1, int(_WAIT_SHARE * remaining * 1000))  # 0 would mean for ever
        result: Any = None
        for command in (("EVALSHA", script.sha), ("EVAL", script.script)):
            pipeline = redis.pipeline(transaction=False)
            pipeline.execute_command(*command, *arguments)  # type: ignore[no-untyped-call]
            pipeline.wait(self._wait_replicas, milliseconds)
            result, replicas = pipeline.execute(raise_on_error=False)
            if not isinstance(result, NoScriptError):
                break
        if isinstance(result, Exception):
            raise result
        # WAIT itself is refused if the primary became a replica meanwhile.
        if not isinstance(replicas, int) or replicas < self._wait_replicas:
            too_few = f"fewer than {self._wait_replicas} replicas have confirmed a write"
            raise NotReplicated(too_few, status_code="UNREPLICATED")
        return result

    def _attempt(self, operation: Callable[[Redis], T], what: What) -> T:
        started, redis = self.breaker.now(), self._redis
        try:
            try:
                result = operation(redis)
            except (ResponseError, RedisConnectionError) as error:
                # Either way, nothing was written.
                if _not_primary(error):
                    self._disconnect()  # a failover: the primary may be another server now
                elif not (isinstance(error, AuthenticationError) and self._renewed(redis)):
                    raise
                result = operation(self._redis)
        except _NO_ANSWER as error:
            self._failure = f"{type(error).__name__} while {name_of(what)}: {cause(error)}"
            self.breaker.failure(started)
            if self.breaker.state is not State.CLOSED:
                self.trouble.failed(error)
            raise RedisUnavailable(self._failure) from error
        except BaseException as error:
            self.breaker.success()  # Redis has answered, or the error is the caller's
            if not isinstance(error, RedisError) or isinstance(error, DataError):
                raise
            self.trouble.refused(error)
            if _refused_for_lack_of_space(error):
                raise RedisFull(f"Redis refuses {name_of(what)}: {cause(error)}") from error
            raise RedisRefused(f"Redis refuses {name_of(what)}: {cause(error)}") from error
        self.breaker.success()
        return result

    def log_in(self, settings: Settings) -> None:
        """Use another user or password from now on; operations under way keep their connections."""
        if self._budget and self._login != _login(settings):
            self._login = _login(settings)
            former, new = self._redis, connect.client(settings, self._budget)
            # First: `_redis` tells other threads that there is another login.
            self._connections = _ThreadConnections(new.connection_pool)
            self._redis = new
            former.connection_pool.disconnect(inuse_connections=False)

    def _renewed(self, former: Redis) -> bool:
        """Whether there is another login than this client has."""
        if self._redis is former:
            self.renew_login()
        return self._redis is not former

    def _disconnect(self) -> None:
        self._connections = _ThreadConnections(self._redis.connection_pool)
        self._redis.connection_pool.disconnect(inuse_connections=False)

    def _publish(self, state: State) -> None:
        states = self.trouble.circuits
        states[id(self)] = state
        metrics.CIRCUIT_STATE.set(max(states.values()))
        self.trouble.circuit_changed(self._purpose, state, self._failure)
        if state is State.CLOSED:
            self.trouble.answered()


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

        There is a second attempt when Redis closes the connection: while it was idle, or because
        the user that it belongs to is gone.
        """
        try:
            try:
                return _exchange(self._current(), commands)
            except AuthenticationError:
                raise
            except RedisConnectionError:
                # A new connection shows whether Redis is unavailable.
                return _exchange(self._connect(), commands)
        except BaseException:
            # It would connect to the same address again, without asking Sentinel.
            self._thread.connection = None, 0.0
            raise

    def _current(self) -> Any:
        connection, ends_at = getattr(self._thread, "connection", (None, 0.0))
        if connection and time.monotonic() < ends_at and connection.pid == os.getpid():
            return connection
        return self._connect()

    def _connect(self) -> Any:
        connection = self._pool.make_connection()
        connection.connect()  # type: ignore[no-untyped-call]
        self._thread.connection = connection, time.monotonic() + READ_CONNECTION_SECONDS
        return connection


def _exchange(connection: Any, commands: tuple[Command, ...]) -> list[Any]:
    try:
        packed = b"".join(pack_command(command) for command in commands)  # type: ignore[arg-type]
        connection.send_packed_command([packed], check_health=False)
        return [connection.read_response() for _ in commands]
    except BaseException:
        connection.disconnect()  # the next caller must not read the rest of these answers
        raise


def _exchange_embedded(redis: Redis, commands: tuple[Command, ...]) -> list[Any]:
    connection = redis.connection_pool.get_connection()
    try:
        for command in commands:
            connection.send_command(*command)  # type: ignore[no-untyped-call]
        return [connection.read_response() for _ in commands]
    finally:
        redis.connection_pool.release(connection)


def _transaction(redis: Redis, commands: tuple[Command, ...]) -> list[Any]:
    pipeline = redis.pipeline(transaction=True)
    for command in commands:
        pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
    return pipeline.execute()


def _login(settings: Settings) -> tuple[str | None, ...]:
    return settings.redis_username, settings.redis_password, settings.redis_sentinel_password


def _not_primary(error: RedisError) -> bool:
    # redis-py's connections to a primary that Sentinel named make a ConnectionError of READONLY.
    return code(error) in _NOT_PRIMARY or isinstance(error.__context__, ReadOnlyError)


def _maybe_done(error: BaseException | None) -> bool:
    """Whether Redis may have done what it was asked to although the caller got this error."""
    if isinstance(error, _NO_ANSWER):
        # An answer such as LOADING, which redis-py takes for a lost connection, has a code.
        return not (getattr(error, NOT_SENT, False) or error.status_code)
    return isinstance(error, NotReplicated)


def _refused_for_lack_of_space(error: RedisError) -> bool:
    # Scripts get it as text. MISCONF: snapshots or the append-only file cannot be written.
    return (
        isinstance(error, OutOfMemoryError)
        or re.search(r"\b(OOM|MISCONF)\b", str(error)) is not None
    )
