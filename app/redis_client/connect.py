"""Connects redis-py to what the settings name: a server, Sentinel, or the embedded store."""

from typing import Any
from urllib.parse import urlsplit

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.connection import SSLConnection, parse_url
from redis.exceptions import NoPermissionError, RedisError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from app.config import Settings, SettingsError
from app.redis_client.time_budget import TimeBudget

# The number of threads is the limit. The pool counts every connection it has ever made, also those
# that `_ThreadConnections` has lost, so its own default of 100 would refuse reconnects after that.
MAX_CONNECTIONS = 2**31


def client(settings: Settings, budget: TimeBudget) -> Redis:
    """A client that fails fast: redis-py's defaults are a timeout of 5 s and ten retries.

    One attempt only, because a repeated write may count twice. The pool notices idle connections
    that Redis has closed. Maintenance notifications are a feature of managed Redis and would cost a
    round trip for each connection.
    """
    options: dict[str, Any] = {
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,  # every server and proxy speaks it, without HELLO
        "driver_info": None,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    login = {"username": settings.redis_username, "password": settings.redis_password}
    of_pool = {**options, **login, "max_connections": MAX_CONNECTIONS}
    if settings.redis_sentinels:
        pool = _sentinel_pool(settings, budget, options, of_pool)
    else:
        pool = ConnectionPool.from_url(settings.redis_url, **of_pool)
    return Redis(connection_pool=budget.bind(pool))


def embedded() -> Redis:
    # Imported here: a service with a real Redis does not need to load it.
    import fakeredis  # pylint: disable=import-outside-toplevel

    return fakeredis.FakeRedis(server=fakeredis.FakeServer(), protocol=2)


def refuse_cluster(settings: Settings) -> None:
    """Refuse to start with Redis Cluster. A Redis that does not answer may still come.

    Raises:
        SettingsError: the scripts use several keys, which a cluster keeps on several servers.
    """
    if settings.embedded_store:
        return
    redis = client(settings, TimeBudget(settings.redis_timeout_ms / 1000))
    try:
        is_cluster = bool(redis.info("cluster").get("cluster_enabled"))
    except RedisError:
        is_cluster = False
    finally:
        redis.connection_pool.disconnect()
    if is_cluster:
        raise SettingsError(
            "REDIS_URL: is a Redis Cluster, which this service cannot use; give it a single server"
            " or Sentinel, for example REDIS_URL=redis://redis:6379/0"
        )


def check_login(settings: Settings) -> None:
    """Raise `RedisError` unless Redis, and Sentinel, accept the user and the passwords."""
    if settings.embedded_store:
        return
    redis = client(settings, TimeBudget(settings.redis_data_timeout_ms / 1000))
    try:
        redis.ping()
    except NoPermissionError:
        pass  # the user may not PING, so it is logged in
    finally:
        redis.connection_pool.disconnect()


def _sentinel_pool(
    settings: Settings, budget: TimeBudget, options: dict[str, Any], of_pool: dict[str, Any]
) -> ConnectionPool:
    """Connections to the server that Sentinel calls the primary; TLS is for both or neither."""
    from redis.sentinel import (  # pylint: disable=import-outside-toplevel
        Sentinel,
        SentinelConnectionPool,
    )

    of_url = parse_url(settings.redis_url)  # type: ignore[no-untyped-call]
    tls = {name: value for name, value in of_url.items() if name.startswith("ssl_")}
    tls["ssl"] = of_url.pop("connection_class", None) is SSLConnection
    of_url.pop("port", None)
    del of_url["host"]
    # Not `host`, which is in lower case.
    name = urlsplit(settings.redis_url).netloc.rpartition("@")[2].partition(":")[0]
    addresses = [each.rpartition(":")[::2] for each in settings.redis_sentinels]
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [(host.strip("[]"), int(port)) for host, port in addresses],
        sentinel_kwargs={**options, **tls, "password": settings.redis_sentinel_password},
    )
    # One that does not answer must leave time for the next, and for the primary.
    share = 1 / (len(addresses) + 1)
    for each in sentinel.sentinels:
        budget.bind(each.connection_pool, share)
    of_pool = {**of_pool, **of_url, "ssl": tls["ssl"]}
    return SentinelConnectionPool(name, sentinel, **of_pool)  # type: ignore[no-untyped-call]
