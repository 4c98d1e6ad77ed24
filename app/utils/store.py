"""The way to Redis: one client, one circuit breaker, and no request that waits for long.

How long a request waits is patience.py's; when nobody is to wait at all is circuit.py's.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MasterDownError, OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from app.config import Settings
from app.utils import metrics, patience
from app.utils.circuit import CircuitBreaker, State
from app.utils.direct_reads import Command, DirectReads

T = TypeVar("T")
Client = Redis

# Threads set the bound, not the pool: it counts all it has ever made, also those that direct reads
# have lost, and its own default of 100 would turn away whoever reconnects after that.
MOST_CONNECTIONS = 2**31

AWAY = (RedisConnectionError, RedisTimeoutError, ReadOnlyError, MasterDownError)


class StoreUnavailable(Exception):
    """Redis is away, too slow, or the circuit to it is open."""

    def __init__(self, reason: str, *, tried: bool) -> None:
        super().__init__(reason)
        self.tried = tried


class StoreFull(Exception):
    """Redis refuses writes for want of memory or disk; reads still work."""


class Store:
    """Runs operations against Redis, or against the embedded store in its place."""

    def __init__(self, settings: Settings) -> None:
        self.prefix = settings.redis_key_prefix
        self.embedded = settings.embedded_store
        self.breaker = CircuitBreaker(on_change=_publish)
        self._request_seconds = patience.REQUEST_SHARE * settings.redis_timeout_ms / 1000
        self._client = _embedded() if self.embedded else _connect(settings)
        self._direct = None if self.embedded else DirectReads(self._client.connection_pool)
        _publish(State.CLOSED)

    def key(self, *parts: str) -> str:
        """A key in this service's namespace."""
        return self.prefix + ":".join(parts)

    def run(self, operation: Callable[[Client], T]) -> T:
        """Call `operation` with the client.

        Raises:
            StoreUnavailable: at once when the circuit is open or this request has waited enough,
                else before the request has waited `REDIS_TIMEOUT_MS` in all.
            StoreFull: a write was refused.
        """
        waits = None if self.embedded else patience.current()  # there is nothing to wait for
        if waits and waits.left(self._request_seconds) < patience.LEAST_SECONDS:
            raise StoreUnavailable("this request has waited for Redis long enough", tried=False)
        if not self.breaker.allow():
            raise StoreUnavailable("the circuit to Redis is open", tried=False)
        if waits is None:
            return self._try(operation)
        waits.start()
        try:
            return self._try(operation)
        except StoreUnavailable:
            waits.failed = True
            raise
        finally:
            waits.end()

    def read(self, *commands: Command) -> list[Any]:
        """Send commands that only read, in one round trip.

        Returns:
            An answer per command.

        Raises:
            StoreUnavailable: as `run` does.
        """
        direct = self._direct
        if direct is None:
            return self.run(lambda client: _pipelined(client, commands))
        return self.run(lambda _: direct(commands))

    def _try(self, operation: Callable[[Client], T]) -> T:
        began = self.breaker.now()
        try:
            result = operation(self._client)
        except AWAY as error:
            self.breaker.failure(began)
            raise StoreUnavailable(f"Redis is away: {error}", tried=True) from error
        except BaseException as error:
            self.breaker.success()  # it has answered, or the error is the caller's own
            if _refused_for_want_of_room(error):
                raise StoreFull("Redis refuses writes for want of memory or disk") from error
            raise
        self.breaker.success()
        return result

    def script(self, source: str) -> "Script":
        """A Lua script that Redis runs as one step."""
        return Script(self, source)

    def ping(self) -> float:
        """Ask Redis for a sign of life.

        Returns:
            Milliseconds the answer took.
        """
        started = time.perf_counter()
        self.run(lambda client: client.ping())
        return (time.perf_counter() - started) * 1000

    def close(self) -> None:
        """Give back all connections."""
        self._client.close()


class Script:
    """A Lua script, sent whole once and by its hash from then on."""

    def __init__(self, store: Store, source: str) -> None:
        self._store = store
        self._source = source
        self._lock = threading.Lock()
        self._registered: Any = None

    def __call__(self, keys: list[str], args: list[Any]) -> Any:
        def call(client: Client) -> Any:
            with self._lock:
                if self._registered is None:
                    self._registered = client.register_script(self._source)
            return self._registered(keys=keys, args=args)

        return self._store.run(call)


def _refused_for_want_of_room(error: BaseException) -> bool:
    if isinstance(error, OutOfMemoryError):
        return True
    # Scripts get it in words; MISCONF is a disk that snapshots or the log cannot be written to.
    return isinstance(error, ResponseError) and ("OOM" in str(error) or "MISCONF" in str(error))


def _pipelined(client: Client, commands: tuple[Command, ...]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
    return pipeline.execute()


def _publish(state: State) -> None:
    metrics.CIRCUIT_STATE.set(int(state))


def _embedded() -> Client:
    # Here, because a service with a real Redis need not pay for it at each start.
    import fakeredis  # pylint: disable=import-outside-toplevel

    return fakeredis.FakeRedis(server=fakeredis.FakeServer(), protocol=3, legacy_responses=False)


def _connect(settings: Settings) -> Client:
    """A client that fails fast: redis-py's own defaults are 5 s and ten retries.

    One attempt only, because a repeated write may count twice; idle connections that Redis has
    closed are noticed by the pool before use. Maintenance notifications are a service of managed
    Redis and would cost a round trip at each connect.
    """
    pool = ConnectionPool.from_url(
        settings.redis_url,
        username=settings.redis_username,
        password=settings.redis_password,
        retry=Retry(NoBackoff(), 0),
        protocol=3,
        legacy_responses=False,
        driver_info=None,
        max_connections=MOST_CONNECTIONS,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    return Redis(connection_pool=patience.bound(pool, settings.redis_timeout_ms / 1000))
