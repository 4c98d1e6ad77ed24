"""Settings: read once from the environment, checked, typed and frozen.

A wrong value raises `SettingsError`, whose text is one line that names the variable, says what
is wrong with its value and gives an example. Every secret `NAME` may also come from the file
that `NAME_FILE` points to, as Docker and Kubernetes mount secrets.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from app import __version__
from app.environment import EMBEDDED_STORE, Environment, IpNetwork, SettingsError

__all__ = ["IpNetwork", "Settings", "SettingsError"]

NAME = "devops-starter"
ENVIRONMENTS = ("development", "testing", "production")


@dataclass(frozen=True, slots=True)
class Settings:  # pylint: disable=too-many-instance-attributes
    """Everything that may differ between two deployments. `.env.example` explains each."""

    environment: str
    service_name: str
    instance: str
    version: str
    commit: str
    build_date: str
    secret_key: str
    api_tokens: tuple[str, ...]
    redis_url: str
    redis_username: str | None
    redis_password: str | None
    redis_key_prefix: str
    redis_timeout_ms: int
    readiness_requires_redis: bool
    cache_ttl_default: int
    cache_ttl_max: int
    cache_local_ms: int
    session_ttl_seconds: int
    session_cookie_secure: bool
    max_content_length: int
    rate_limit: str
    demo_enabled: bool
    grafana_url: str
    prometheus_url: str
    alertmanager_url: str
    trusted_hosts: tuple[str, ...]
    forwarded_allow_ips: tuple[IpNetwork, ...]
    log_level: str
    log_file: str | None
    server: str
    bind: tuple[str, ...]
    web_concurrency: int | None
    web_threads: int
    keep_alive_seconds: int
    request_timeout_seconds: int
    graceful_timeout_seconds: int
    drain_seconds: int
    max_requests: int
    max_requests_jitter: int
    reload: bool
    metrics_dir: str | None

    @property
    def production(self) -> bool:
        """Whether this is the environment that refuses every convenience."""
        return self.environment == "production"

    @property
    def embedded_store(self) -> bool:
        """Whether data live in this process alone and are gone when it ends."""
        return self.redis_url == EMBEDDED_STORE

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read and check all settings.

        Args:
            environ: where to read from; the process's environment unless given.

        Raises:
            SettingsError: the first setting that is missing or wrong.
        """
        read = Environment(os.environ if environ is None else environ)
        environment = read.choice("APP_ENV", ENVIRONMENTS, "development")
        production = environment == "production"
        settings = cls(
            environment=environment,
            service_name=read.matching("SERVICE_NAME", r"[a-z][a-z0-9-]{0,62}", NAME),
            instance=read.text("INSTANCE_ID", socket.gethostname()),
            version=read.text("APP_VERSION", __version__),
            commit=read.text("GIT_COMMIT", "unknown"),
            build_date=read.text("BUILD_DATE", "unknown"),
            secret_key=read.secret(
                "SECRET_KEY", required=production, at_least=32, strict=production
            )
            or os.urandom(32).hex(),
            api_tokens=read.secrets(
                "API_TOKENS", required=production, at_least=24, strict=production
            ),
            redis_url=read.redis_url("REDIS_URL", production),
            redis_username=read.text("REDIS_USERNAME", "") or None,
            redis_password=read.secret("REDIS_PASSWORD", at_least=16, strict=production) or None,
            redis_key_prefix=read.matching("REDIS_KEY_PREFIX", r"[a-z0-9:_-]{1,32}", "ds:"),
            redis_timeout_ms=read.integer("REDIS_TIMEOUT_MS", 250, 20, 10_000),
            readiness_requires_redis=read.boolean("READINESS_REQUIRES_REDIS", False),
            cache_ttl_default=read.integer("CACHE_TTL_DEFAULT", 300, 1, 31_536_000),
            cache_ttl_max=read.integer("CACHE_TTL_MAX", 86_400, 1, 31_536_000),
            cache_local_ms=read.integer("CACHE_LOCAL_MS", 0, 0, 5_000),
            session_ttl_seconds=read.integer("SESSION_TTL_SECONDS", 3_600, 1, 31_536_000),
            session_cookie_secure=read.boolean("SESSION_COOKIE_SECURE", production),
            max_content_length=read.integer("MAX_CONTENT_LENGTH", 1_048_576, 1_024, 1 << 30),
            rate_limit=read.rate("RATE_LIMIT"),
            demo_enabled=read.boolean("DEMO_ENABLED", not production),
            grafana_url=read.web_address("GRAFANA_URL", "http://localhost:3000"),
            prometheus_url=read.web_address("PROMETHEUS_URL", "http://localhost:9090"),
            alertmanager_url=read.web_address("ALERTMANAGER_URL", "http://localhost:9093"),
            trusted_hosts=read.items("TRUSTED_HOSTS"),
            forwarded_allow_ips=read.networks("FORWARDED_ALLOW_IPS"),
            log_level=read.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"),
            log_file=read.writable_file("LOG_FILE"),
            server=read.choice("SERVER", ("gunicorn", "granian"), "gunicorn"),
            bind=read.addresses("BIND") or ("127.0.0.1:8080",),
            web_concurrency=read.optional_integer("WEB_CONCURRENCY", 0, 128),
            web_threads=read.integer("WEB_THREADS", 8, 1, 256),
            keep_alive_seconds=read.integer("KEEP_ALIVE_SECONDS", 75, 1, 3_600),
            request_timeout_seconds=read.integer("REQUEST_TIMEOUT_SECONDS", 30, 1, 3_600),
            graceful_timeout_seconds=read.integer("GRACEFUL_TIMEOUT_SECONDS", 30, 1, 3_600),
            drain_seconds=read.integer("DRAIN_SECONDS", 2, 0, 600),
            max_requests=read.integer("MAX_REQUESTS", 0, 0, 100_000_000),
            max_requests_jitter=read.integer("MAX_REQUESTS_JITTER", 0, 0, 100_000_000),
            reload=read.boolean("RELOAD", False),
            metrics_dir=read.writable_folder("METRICS_DIR"),
        )
        if settings.cache_ttl_default > settings.cache_ttl_max:
            raise SettingsError(
                "CACHE_TTL_DEFAULT: is above CACHE_TTL_MAX; for example CACHE_TTL_DEFAULT=300"
            )
        return settings
