"""The one place that knows every part. A new endpoint is one more line in `ROUTES`."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Flask
from flask.json.provider import JSONProvider

from app.config import Settings
from app.routes import api, cache, docs, guards, health, items, metrics, root, session, stats
from app.routes.deps import Services
from app.services.cache_service import CacheService
from app.services.fault_service import FaultService
from app.services.health_service import HealthService
from app.services.item_service import ItemService
from app.services.rate_limit import RateLimit
from app.services.stats_service import PopulationCollector, StatsService
from app.utils import errors, jsonio
from app.utils.auth import TokenAuth
from app.utils.observe import Environ, Observed, Recorder
from app.utils.process_metrics import ServiceCollector, WorkerProcessCollector
from app.utils.sessions import RedisSessions
from app.utils.store import Store
from app.utils.ticker import Ticker

ROUTES = (
    root.blueprint,
    docs.blueprint,
    health.blueprint,
    metrics.blueprint,
    api.blueprint,
    cache.blueprint,
    items.blueprint,
    session.blueprint,
    stats.blueprint,
)


def build(settings: Settings) -> Flask:
    """Put the application together; see `app.create_app`."""
    app = Service("app")
    app.json = StrictJson(app)
    app.url_map.strict_slashes = False  # a redirect would have to trust the Host header
    app.url_map.merge_slashes = False
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=settings.max_content_length,
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=settings.session_ttl_seconds),
        SESSION_COOKIE_NAME="__Host-session" if settings.session_cookie_secure else "session",
        SESSION_COOKIE_SECURE=settings.session_cookie_secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SEND_FILE_MAX_AGE_DEFAULT=3600,
        PROPAGATE_EXCEPTIONS=False,
    )

    store = Store(settings)
    known = _services(settings, store)
    app.extensions["services"] = known
    app.extensions["auth"] = TokenAuth(settings.api_tokens)
    app.extensions["collectors"] = (
        ServiceCollector(settings),
        WorkerProcessCollector(),
        PopulationCollector(known.stats),
    )
    app.extensions["ticker"] = Ticker((known.stats.flush, known.faults.refresh))
    app.session_interface = RedisSessions(app, store)

    errors.register(app)
    guards.register(app, known)
    for blueprint in ROUTES:
        app.register_blueprint(blueprint)
    if settings.demo_enabled:
        # Here, because a service without it need not pay for it at each start.
        from app.routes import demo  # pylint: disable=import-outside-toplevel

        app.register_blueprint(demo.blueprint)
    recorder = _recorder(known.stats, app.config["SESSION_COOKIE_NAME"])
    observed = Observed(app.wsgi_app, settings, recorder)
    app.wsgi_app = observed  # type: ignore[method-assign]
    return app


def _recorder(usage: StatsService, cookie: str) -> Recorder:
    """Tells callers apart by their token or session if they have one, else by address and agent."""
    find = re.compile(rf"(?:^|;)\s*{re.escape(cookie)}=([^;]+)").search

    def session_of(environ: Environ) -> str | None:
        """The session's own cookie: others may be the same for all, or new with each request."""
        cookies = environ.get("HTTP_COOKIE")
        found = find(cookies) if cookies else None
        return found[1] if found else None

    def record(environ: Environ, client_ip: str, route: str, status: int, seconds: float) -> None:
        user = ""
        if not guards.always_open(environ["PATH_INFO"]):
            user = (
                environ.get("HTTP_AUTHORIZATION")
                or session_of(environ)
                or f"{client_ip} {environ.get('HTTP_USER_AGENT', '')}"
            )
        usage.record(route, status, seconds, user)

    return record


def _services(settings: Settings, store: Store) -> Services:
    usage = StatsService(settings, store)
    cache_service = CacheService(settings, store, usage.record_cache)
    return Services(
        settings=settings,
        cache=cache_service,
        items=ItemService(store, cache_service),
        stats=usage,
        faults=FaultService(store),
        health=HealthService(settings, store),
        rate_limit=RateLimit(store, settings.rate_limit),
    )


class Service(Flask):
    """Flask, except that whether a view is asynchronous is asked once and not at each request."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._ready: dict[Callable[..., Any], Callable[..., Any]] = {}

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """As Flask's."""
        ready = self._ready.get(func)
        if ready is None:
            ready = self._ready[func] = super().ensure_sync(func)
        return ready


class StrictJson(JSONProvider):
    """Flask's own JSON helpers, by the same rules as everywhere here."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """JSON text of `obj`."""
        return jsonio.dumps(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """What the JSON text says; a `Problem` with status 400 when it is none."""
        return jsonio.loads(s.encode() if isinstance(s, str) else s)
