"""The application factory: the only place that knows every part.

A new endpoint is a line in `BLUEPRINTS`, a new service a line in `create_app`
(docs/ADD-AN-ENDPOINT.md).
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zlib import crc32

from flask import Flask

from app.config import Settings
from app.http import problems, request_checks
from app.http.auth import TokenAuth
from app.http.middleware import Environ, Recorder, RequestMiddleware
from app.http.rate_limit import RateLimit
from app.http.request_id import network_of
from app.http.session_interface import RedisSessionInterface
from app.http.signing_keys import SigningKeys
from app.redis_client import connect
from app.redis_client.client import RedisClient
from app.redis_client.time_budget import TimeBudget
from app.routes import (
    cache,
    demo,
    docs,
    health,
    info,
    items,
    metrics,
    root,
    session,
    stats,
)
from app.server import lifecycle
from app.server.periodic_tasks import PeriodicTasks
from app.server.process_metrics import ServiceCollector, WorkerProcessCollector
from app.server.secret_files import SecretFiles
from app.services.cache_service import CacheService
from app.services.faults import FaultService
from app.services.health import HealthService
from app.services.items import ItemService
from app.services.stats import PopulationCollector, StatsService
from app.utils.metrics import fit_buckets
from app.utils.tracing import Tracing

BLUEPRINTS = (
    root.blueprint,
    docs.blueprint,
    health.blueprint,
    metrics.blueprint,
    info.blueprint,
    cache.blueprint,
    items.blueprint,
    session.blueprint,
    stats.blueprint,
)


USERS_PER_ADDRESS = 64


def create_app(settings: Settings | None = None) -> Flask:
    """Make the application: its services, and what every request passes.

    Args:
        settings: read from the environment unless given.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    settings = settings or Settings.from_env()
    app = _flask(settings)
    data = RedisClient(settings, TimeBudget(settings.redis_data_timeout_ms / 1000))
    # The cache gives up sooner. The embedded store has no time limits, and lives in its client.
    redis = (
        data
        if data.embedded
        else RedisClient(
            settings, TimeBudget(settings.redis_timeout_ms / 1000), data.trouble, "the cache"
        )
    )
    # Periodic tasks use both, so that each circuit closes without waiting for a request.
    usage = StatsService(settings, data)
    faults = FaultService(redis)
    traces = app.extensions["tracing"] = Tracing(settings)
    cache_service = CacheService(settings, redis, data)
    services = [
        settings,
        usage,
        cache_service,
        faults,
        ItemService(data, cache_service),
        HealthService(
            redis, settings.readiness_requires_redis, lifecycle.draining, lifecycle.uptime_seconds
        ),
    ]
    app.extensions["services"] = {type(each): each for each in services}
    auth = app.extensions["auth"] = TokenAuth(settings.api_tokens)
    app.extensions["collectors"] = (
        ServiceCollector(settings),
        WorkerProcessCollector(),
        PopulationCollector(usage),
    )
    keys = SigningKeys(app, settings)
    secrets = app.extensions["secret_files"] = SecretFiles(
        settings, _secrets_user(auth, traces, keys, usage, data, redis), connect.check_login
    )
    data.renew_login = redis.renew_login = secrets.renew_login
    app.extensions["periodic_tasks"] = PeriodicTasks(
        (secrets.refresh, keys.expire, usage.flush, faults.refresh, data.delete_ended)
    )
    app.session_interface = RedisSessionInterface(app, data)

    problems.register(app)
    request_checks.register(
        app,
        management=bool(settings.management_bind),
        trusted_hosts=settings.trusted_hosts,
        rate_limit=RateLimit(redis, settings.rate_limit),
        should_fail=faults.should_fail,
    )
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    if settings.demo_enabled:
        app.register_blueprint(demo.blueprint)
    fit_buckets(len(list(app.url_map.iter_rules())), settings.replicas)
    record = _recorder(usage, app.config["SESSION_COOKIE_NAME"])
    middleware = RequestMiddleware(app.wsgi_app, settings, record, traces)
    app.wsgi_app = middleware  # type: ignore[method-assign]
    return app


def _flask(settings: Settings) -> Flask:
    app = Service("app")
    app.url_map.strict_slashes = False  # a redirect would have to trust the Host header
    app.url_map.merge_slashes = False
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_content_length,
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=settings.session_ttl_seconds),
        SESSION_COOKIE_NAME="__Host-session" if settings.session_cookie_secure else "session",
        SESSION_COOKIE_SECURE=settings.session_cookie_secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SEND_FILE_MAX_AGE_DEFAULT=3600,
        PROPAGATE_EXCEPTIONS=False,
    )
    return app


def _secrets_user(
    auth: TokenAuth,
    traces: Tracing,
    keys: SigningKeys,
    usage: StatsService,
    *clients: RedisClient,
) -> Callable[[Settings], None]:
    def use(settings: Settings) -> None:
        auth.use(settings.api_tokens)
        traces.use(settings)
        keys.use(settings)
        usage.use_key(settings.secret_key)
        for client in clients:
            client.log_in(settings)

    return use


def _recorder(usage: StatsService, cookie_name: str) -> Recorder:
    """Counts users.

    Users of one address differ by token or session if they have one, else by browser. All of these
    can be invented, so an address (of IPv6, a network of 64 bits) has 64 users at most.
    """
    find_cookie = re.compile(rf"(?:^|;)\s*{re.escape(cookie_name)}=([^;]+)").search

    def record(environ: Environ, client_ip: str) -> None:
        if not request_checks.always_open(environ["PATH_INFO"]):
            # Only the session's own cookie: others may change with each request.
            cookies = environ.get("HTTP_COOKIE")
            session_cookie = find_cookie(cookies) if cookies else None
            caller = (
                environ.get("HTTP_AUTHORIZATION")
                or (session_cookie[1] if session_cookie else "")
                or environ.get("HTTP_USER_AGENT", "")
            )
            number = crc32(caller.encode("utf-8", "replace")) % USERS_PER_ADDRESS
            usage.record_user(f"{network_of(client_ip)} {number}")

    return record


class Service(Flask):
    """Flask, but it asks once whether a view is asynchronous, not at each request."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._synchronous: dict[Callable[..., Any], Callable[..., Any]] = {}

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        ready = self._synchronous.get(func)
        if ready is None:
            ready = self._synchronous[func] = super().ensure_sync(func)
        return ready
