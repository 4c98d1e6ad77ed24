"""Settings: read once from the environment, validated, typed and frozen.

Each field is read from the environment variable of its name in capitals, unless `validation_alias`
names another one. A secret `NAME` may also come from the file that `NAME_FILE` names, as Docker and
Kubernetes mount secrets. An empty variable counts as unset.

A wrong value raises `SettingsError`: one line with the variable, the problem and an example. The
value of a secret is never part of it.
"""

import ipaddress
import os
import re
import socket
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode, SettingsConfigDict
from redis import ConnectionPool
from redis.exceptions import RedisError

from app.otel_settings import OtelSettings
from app.version import __version__

T = TypeVar("T")
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

EMBEDDED_STORE = "memory://"
SECRETS = (
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "API_TOKENS",
    "REDIS_USERNAME",  # not secret, but made and replaced together with its password
    "REDIS_PASSWORD",
    "REDIS_SENTINEL_PASSWORD",
    "OTEL_EXPORTER_OTLP_HEADERS",
)
YEAR_SECONDS = 31_536_000

# Values known from tutorials and sample files. A production secret must not even contain one.
_PLACEHOLDERS = re.compile(
    r"change.?me|replace.?me|example|placeholder|insecure|default|secret.?key|password|"
    r"your.?(?:token|key)|dummy|12345678|(.)\1{7}",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"unix:.+|fd://[0-9]+|(?:\[[0-9A-Fa-f:.]+\]|[^][:/\s]*)(?::(?P<port>[0-9]{1,5}))?"
)
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]+")
# All other options of redis-py are for the service to decide.
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_REDIS_OPTIONS = ("db", "username", "password", "client_name")
_TLS_OPTIONS = (
    *_TLS_FILES,
    "ssl_ca_path",
    "ssl_password",
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_min_version",
    "ssl_ciphers",
)
_NEW_SECRET = "$(openssl rand -hex 32)"  # nosec B105
_REQUIRED_IN_PRODUCTION = {
    "secret_key": _NEW_SECRET,
    "api_tokens": _NEW_SECRET,
    "redis_url": "redis://redis:6379/0",
}


class SettingsError(ValueError):
    """A setting is missing or wrong. The text is for the person who starts the service."""


def _split(value: Any) -> Any:
    """A list is separated by commas or line ends."""
    if isinstance(value, str):
        return tuple(part.strip() for part in re.split(r"[,\n]", value) if part.strip())
    return value


def _network(value: Any) -> IpNetwork:
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise ValueError("must be an IP address or network, such as 172.16.0.0/12") from error


def _token(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", value):
        raise ValueError("contains characters that RFC 6750 does not allow in a token")
    return value


def _listen_address(value: str) -> str:
    match = _ADDRESS.fullmatch(value)
    if not match or int(match["port"] or 0) > 65_535:
        raise ValueError("must be an address to listen on")
    return value


def _tcp_address(value: str) -> str:
    match = _ADDRESS.fullmatch(value)
    if value and not (match and match["port"] and int(match["port"]) <= 65_535):
        raise ValueError("must be host:port")
    return value


def _web_address(value: str) -> str:
    parts = _url(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("must be the address of a web page")
    return value


def _redis_url(value: str) -> str:
    if value in ("", EMBEDDED_STORE):
        return value
    parts = _url(value)
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("must start with redis://, rediss://, unix:// or memory://")
    if parts.scheme == "unix":
        named = parts.path not in ("", "/")
    else:
        host = parts.hostname or ""
        named = _HOST.fullmatch(host) is not None and ".." not in host
        if not re.fullmatch(r"/?[0-9]{0,2}", parts.path):
            raise ValueError("must end in the number of a database")
    if not named or parts.fragment:
        raise ValueError(
            "must name a host; write special characters of a password as %2F and so on"
        )
    _check_redis_options(value, parts)
    return value


def _check_redis_options(value: str, parts: Any) -> None:
    """Refuse what redis-py does not take. A name is not repeated: it may be part of a password."""
    allowed = _REDIS_OPTIONS + (_TLS_OPTIONS if parts.scheme == "rediss" else ())
    try:
        options = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
        if not set(options) <= set(allowed):
            raise ValueError
        # `driver_info`: finding out the library's own version takes a millisecond.
        ConnectionPool.from_url(value, driver_info=None).make_connection()
    except (TypeError, ValueError, RedisError) as error:
        raise ValueError(
            "has an unknown or wrong option after the question mark; there may be "
            + ", ".join(allowed)
        ) from error
    for name in _TLS_FILES:
        for path in options.get(name, ()):
            if not (os.path.isfile(path) and os.access(path, os.R_OK)):
                raise ValueError(f"names a file in {name} that cannot be read")


def _sentinel(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not _HOST.fullmatch(host.strip("[]")) or not re.fullmatch("[1-9][0-9]{0,4}", port):
        raise ValueError("must be host:port of each Sentinel")
    return value


def _url(value: str) -> Any:
    try:
        parts = urlsplit(value)
        if parts.port == 0:
            raise ValueError
    except ValueError as error:
        raise ValueError("must be a URL with a valid host and port") from error
    return parts


def _writable_file(value: str) -> str:
    try:
        with Path(value).open("ab"):
            return value
    except OSError as error:
        raise ValueError("cannot be written") from error


def _writable_folder(value: str) -> str:
    try:
        Path(value).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=value):
            return value
    except OSError as error:
        raise ValueError("cannot be created or written") from error


Seconds = Annotated[int, Field(ge=1, le=3_600)]
Lifetime = Annotated[int, Field(ge=1, le=YEAR_SECONDS)]
ListOf = Annotated[tuple[T, ...], NoDecode, BeforeValidator(_split)]
Network = Annotated[IpNetwork, BeforeValidator(_network)]
ListenAddress = Annotated[str, AfterValidator(_listen_address)]
TcpAddress = Annotated[str, AfterValidator(_tcp_address)]
WebAddress = Annotated[str, AfterValidator(_web_address)]


def _in_production(values: dict[str, Any]) -> bool:
    return values.get("environment") == "production"


class Settings(OtelSettings):
    """Everything that may differ between two deployments."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, str_strip_whitespace=True)

    environment: Literal["development", "testing", "production"] = Field(
        "development", validation_alias="APP_ENV"
    )
    """`production` refuses weak or missing secrets and the embedded store."""
    service_name: str = Field("devops-starter", pattern=r"^[a-z][a-z0-9-]{0,62}$")
    """The name in logs and in /api/v1/info."""
    instance: str = Field(default_factory=socket.gethostname, validation_alias="INSTANCE_ID")
    """The name of this instance."""
    version: str = Field(__version__, validation_alias="APP_VERSION")
    """The version that the service reports."""
    commit: str = Field("unknown", validation_alias="GIT_COMMIT")
    """The commit that the image was built from."""
    build_date: str = "unknown"
    """The time at which the image was built, RFC 3339."""

    secret_key: str = Field(default_factory=lambda: os.urandom(32).hex(), repr=False)
    """Signs cookies and hashes. 32 characters or more in production; a random one elsewhere."""
    secret_key_fallbacks: ListOf[str] = Field((), repr=False)
    """Former keys whose signatures are still accepted."""
    secret_key_fallback_seconds: Lifetime = 3_600
    """Seconds for which a key that was replaced while the service runs is one of them."""
    api_tokens: ListOf[Annotated[str, AfterValidator(_token)]] = Field((), repr=False)
    """Bearer tokens of those who may write, 24 characters or more each; none: writing is open."""

    redis_url: Annotated[str, AfterValidator(_redis_url)] = Field(
        default_factory=lambda values: "" if _in_production(values) else EMBEDDED_STORE,
        examples=["redis://redis:6379/0"],
        repr=False,
    )
    """redis://, rediss:// or unix://, or memory:// for the embedded store."""
    redis_sentinels: ListOf[Annotated[str, AfterValidator(_sentinel)]] = Field(
        (), examples=["sentinel-1:26379,sentinel-2:26379"]
    )
    """Sentinels, if REDIS_URL has the name of their primary in place of a host."""
    redis_sentinel_password: str | None = Field(None, repr=False)
    """The password of the Sentinels."""
    redis_username: str | None = Field(None, examples=["app"])
    """The user to log in to Redis as."""
    redis_password: str | None = Field(None, repr=False)
    """The password of that user, 16 characters or more in production."""
    redis_key_prefix: str = Field("ds:", pattern=r"^[a-z0-9:_-]{1,32}$")
    """All keys begin with it."""
    redis_timeout_ms: int = Field(250, ge=20, le=10_000)
    """Milliseconds that a request may wait for the cache in all."""
    redis_data_timeout_ms: int = Field(2_000, ge=20, le=10_000)
    """Milliseconds that a request may wait for items, sessions and to change a cache entry in all;
    then it is a 503."""
    redis_wait_replicas: int = Field(0, ge=0, le=10)
    """Replicas that must have a write of items or sessions before it is acknowledged; 0: none."""
    readiness_requires_redis: bool = False
    """Whether an instance without Redis reports that it is not ready."""

    cache_ttl_default: Lifetime = 300
    """Seconds that a cache entry lives by default."""
    cache_ttl_max: Lifetime = 86_400
    """Seconds that a cache entry lives at most."""
    cache_local_ms: int = Field(0, ge=0, le=5_000)
    """Milliseconds for which a worker may answer a read from its own memory; 0: never."""
    session_ttl_seconds: Lifetime = 3_600
    """Seconds that a session lives after its last change."""
    session_cookie_secure: bool = Field(default_factory=_in_production, examples=["true"])
    """Whether browsers send the session cookie over HTTPS only."""

    max_content_length: int = Field(1_048_576, ge=1_024, le=1 << 30)
    """Largest request body, in bytes."""
    rate_limit: str = Field(
        "", pattern=r"^$|^[1-9][0-9]{0,8}/(second|minute|hour|day)$", examples=["600/minute"]
    )
    """Requests that a client may make to the API; empty: no limit here."""
    trusted_hosts: ListOf[str] = Field((), examples=["www.example.com"])
    """Host names that the service answers to; empty: any."""
    forwarded_allow_ips: ListOf[Network] = Field((), examples=["172.16.0.0/12"])
    """Networks of proxies whose X-Forwarded-For is believed."""
    demo_enabled: bool = Field(
        default_factory=lambda values: not _in_production(values), examples=["true"]
    )
    """Whether /api/v1/demo exists."""
    grafana_url: WebAddress = Field("", examples=["http://localhost:3000"])
    """Link of the console to Grafana; empty: none."""
    prometheus_url: WebAddress = Field("", examples=["http://localhost:9090"])
    """Link of the console to Prometheus; empty: none."""
    alertmanager_url: WebAddress = Field("", examples=["http://localhost:9093"])
    """Link of the console to Alertmanager; empty: none."""
    trace_url: WebAddress = Field("", examples=["http://localhost:16686/trace/TRACE_ID"])
    """Link of the console to the last request's trace, whose ID replaces TRACE_ID; empty: none."""
    logs_url: WebAddress = Field("", examples=["http://localhost:5601/app/discover#/?q=TRACE_ID"])
    """The same for its log lines."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least level of lines in the log."""
    log_format: Literal["json", "text"] = "json"
    """json for machines, text for a terminal."""
    log_file: Annotated[str, AfterValidator(_writable_file)] | None = Field(
        None, examples=["/var/log/app.log"]
    )
    """A file that gets the log as well. Log rotation may move it."""
    metrics_dir: Annotated[str, AfterValidator(_writable_folder)] | None = Field(
        None, examples=["/run/metrics"]
    )
    """Folder of the metric files; a temporary one in memory by default."""

    server: Literal["gunicorn", "granian"] = "gunicorn"
    """The HTTP server; docs/PERFORMANCE.md tells how they differ."""
    bind: ListOf[ListenAddress] = Field(("127.0.0.1:8080",), examples=["0.0.0.0:8000"])
    """Addresses to listen on: host:port or unix:path."""
    management_bind: TcpAddress = Field(
        default_factory=lambda values: "127.0.0.1:8001" if _in_production(values) else "",
        examples=["0.0.0.0:8001"],
    )
    """host:port of /metrics and the probes, on threads of their own; empty: on BIND, too."""
    replicas: int = Field(0, ge=0, le=10_000)
    """Instances that should run, for the alert on a missing one; 0: unknown."""
    web_concurrency: int = Field(0, ge=0, le=128)
    """Worker processes; 0: one for each CPU, and at least 2."""
    web_threads: int = Field(8, ge=1, le=256)
    """Threads of each worker process."""
    keep_alive_seconds: Seconds = 75
    """Seconds for which an idle connection stays open."""
    request_timeout_seconds: Seconds = 30
    """Seconds after which a worker that does not respond is replaced."""
    queue_timeout_seconds: Seconds = 10
    """Seconds that a request may wait for a thread; then it is refused with 503 (Gunicorn)."""
    graceful_timeout_seconds: Seconds = 30
    """Seconds that requests in flight get to finish when the service stops."""
    drain_seconds: int = Field(2, ge=0, le=600)
    """Seconds for which a stopping service still accepts requests: load balancers must notice."""
    max_requests: int = Field(0, ge=0, le=100_000_000)
    """Requests after which a worker is replaced; 0: never."""
    max_requests_jitter: int = Field(0, ge=0, le=100_000_000)
    """Up to this many more requests, at random, so that not all workers are replaced at once."""
    reload: bool = False
    """Whether workers load changed code at once, for development."""

    @property
    def production(self) -> bool:
        """Whether this is the environment that refuses every convenience."""
        return self.environment == "production"

    @property
    def embedded_store(self) -> bool:
        """Whether data live in this process alone and are gone when it ends."""
        return self.redis_url == EMBEDDED_STORE

    @classmethod
    def from_env(cls, secrets: dict[str, str] | None = None) -> "Settings":
        """Read and validate all settings.

        Args:
            secrets: by name; read from the files of `secret_files` unless given.

        Raises:
            SettingsError: the first setting that is missing or wrong.
        """
        if secrets is None:
            secrets = {name: read_secret(name, path) for name, path in secret_files().items()}
        try:
            return cls(**{name.lower(): text for name, text in secrets.items()})  # type: ignore
        except ValidationError as error:
            message = _one_line(error)
        # Outside of the handler: the original error holds values, perhaps of secrets.
        raise SettingsError(message)

    @model_validator(mode="after")
    def _check_combinations(self) -> "Settings":
        if self.cache_ttl_default > self.cache_ttl_max:
            raise _wrong("CACHE_TTL_DEFAULT", "is above CACHE_TTL_MAX", "300")
        if self.redis_sentinels and not self.redis_url.startswith("redis"):
            problem = "must have the name of a primary, because REDIS_SENTINELS is set"
            raise _wrong("REDIS_URL", problem, "redis://mymaster/0")
        if self.production:
            self._check_production()
        return self

    def _check_production(self) -> None:
        for name, example in _REQUIRED_IN_PRODUCTION.items():
            if name not in self.model_fields_set or not getattr(self, name):
                raise _wrong(name.upper(), "is missing, and production needs it", example)
        if self.embedded_store:
            problem = "is the embedded store, which keeps nothing; production needs a real Redis"
            raise _wrong("REDIS_URL", problem, _REQUIRED_IN_PRODUCTION["redis_url"])
        for key in (self.secret_key, *self.secret_key_fallbacks):
            _check_secret("SECRET_KEY", key, 32)
        for token in self.api_tokens:
            _check_secret("API_TOKENS", token, 24)
        _check_secret("REDIS_PASSWORD", self.redis_password, 16)
        _check_secret("REDIS_SENTINEL_PASSWORD", self.redis_sentinel_password, 16)
        parts = urlsplit(self.redis_url)
        # redis-py also takes the password as an option.
        for password in (parts.password, *parse_qs(parts.query).get("password", [])):
            _check_secret("REDIS_URL", password, 16)


def secret_files() -> dict[str, str]:
    """The path that each `NAME_FILE` variable names, by `NAME`."""
    found = {name: os.environ.get(f"{name}_FILE", "").strip() for name in SECRETS}
    for name, path in found.items():
        if path and os.environ.get(name, "").strip():
            raise SettingsError(f"{name}_FILE: is set together with {name}; keep one of them")
    return {name: path for name, path in found.items() if path}


def read_secret(name: str, path: str) -> str:
    """The content of a secret's file.

    Raises:
        SettingsError: it cannot be read, or is empty, which would open writing to all.
    """
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        text, problem = "", "cannot be read as text"
    else:
        problem = "is empty"
    if text or name == "SECRET_KEY_FALLBACKS" and problem == "is empty":
        return text
    raise SettingsError(
        f"{name}_FILE: {path!r} {problem}; for example {name}_FILE=/run/secrets/{name.lower()}"
    )


def environment_names() -> set[str]:
    """The environment variables that `Settings` reads, without the `NAME_FILE` forms."""
    return {name.upper() for name in _fields_by_variable()}


def _fields_by_variable() -> dict[str, FieldInfo]:
    fields: dict[str, FieldInfo] = Settings.model_fields
    return {str(field.validation_alias or name): field for name, field in fields.items()}


def _check_secret(name: str, value: str | None, min_length: int) -> None:
    """Refuse a secret that could be guessed. The value is never part of the message."""
    if value is None:
        return
    if len(value) < min_length:
        raise _wrong(name, f"is shorter than {min_length} characters", _NEW_SECRET)
    if _PLACEHOLDERS.search(value):
        raise _wrong(name, "looks like a placeholder", _NEW_SECRET)


def _wrong(name: str, problem: str, example: str) -> ValueError:
    return ValueError(f"{name}: {problem}; for example {name}={example}")


def _one_line(failure: ValidationError) -> str:
    """The first error as `NAME: problem; for example NAME=value`."""
    error = failure.errors(include_url=False)[0]
    problem = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return problem  # of `_check_combinations`, which names the variable
    variable = str(error["loc"][0])
    field, name = _fields_by_variable()[variable], variable.upper()
    value = str(error["input"])
    # Not of a secret, or of a URL that contains one.
    shown = f"{value[:80]!r} " if field.repr and "@" not in value else ""
    if field.examples:
        example = field.examples[0]
    elif name in SECRETS:
        example = _NEW_SECRET
    else:
        example = field.get_default()
    problem = problem.replace("Input should be", "must be").replace("String should", "must")
    return f"{name}: {shown}{problem}; for example {name}={example}"
