"""Settings: what is read, what is refused, the text of refusals, and secrets that change."""

import logging
import os
import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from app import __version__
from app.config import Settings, SettingsError
from app.server.secret_files import SecretFiles
from tests.support.app_parts import make_settings

SECRET = "kB9v-Lw2xQ7m.Zt4VbN6rK1sYh3Dp8Ug5"
TOKEN = "A7mQ2xLw9Zt4VbN6rK1sYh3D"
PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": SECRET,
    "API_TOKENS": TOKEN,
    "REDIS_URL": "redis://redis:6379/0",
}


def refusal(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        make_settings(**environ)
    return str(caught.value)


def test_the_defaults_are_a_development_service_on_the_embedded_store() -> None:
    settings = make_settings(APP_ENV="", REDIS_TIMEOUT_MS="")

    assert (settings.environment, settings.version) == ("development", __version__)
    assert settings.embedded_store and settings.demo_enabled and not settings.production
    assert settings.bind == ("127.0.0.1:8080",)
    assert (settings.web_concurrency, settings.redis_timeout_ms) == (0, 250)
    assert not settings.session_cookie_secure
    assert len(settings.secret_key) == 64 and settings.secret_key != make_settings().secret_key


def test_production_turns_the_demo_off_and_secures_the_cookie() -> None:
    settings = make_settings(**PRODUCTION)
    assert settings.production and not settings.demo_enabled and settings.session_cookie_secure


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        make_settings().web_threads = 1  # type: ignore[misc]


def test_lists_are_split_at_commas_and_at_line_ends() -> None:
    settings = make_settings(
        API_TOKENS="one,two\nthree\n",
        TRUSTED_HOSTS="example.org, .example.com",
        FORWARDED_ALLOW_IPS="10.0.0.1,172.16.0.0/12,::1",
        BIND="0.0.0.0:8000,unix:/run/web.sock",
    )

    assert settings.api_tokens == ("one", "two", "three")
    assert settings.trusted_hosts == ("example.org", ".example.com")
    assert settings.forwarded_allow_ips == tuple(
        ip_network(each) for each in ("10.0.0.1", "172.16.0.0/12", "::1")
    )
    assert settings.bind == ("0.0.0.0:8000", "unix:/run/web.sock")


def test_every_kind_of_address_can_be_listened_on() -> None:
    addresses = "127.0.0.1 web:8000 :8000 [::]:8000 [::1] unix:/run/a.sock fd://3".split()
    assert make_settings(BIND=",".join(addresses)).bind == tuple(addresses)


@pytest.mark.parametrize(
    "url", ["redis://redis:6379/0", "rediss://user:x@redis/1", "unix:///run/redis.sock?db=2"]
)
def test_every_kind_of_redis_url_is_accepted(url: str) -> None:
    settings = make_settings(REDIS_URL=url)
    assert (settings.redis_url, settings.embedded_store) == (url, False)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("APP_ENV", "prod", "'prod' must be 'development', 'testing' or 'production'"),
        ("LOG_LEVEL", "verbose", "'verbose' must be 'DEBUG'"),
        ("SERVICE_NAME", "My Service", "must match pattern"),
        ("REDIS_KEY_PREFIX", "a b", "must match pattern"),
        ("DEMO_ENABLED", "maybe", "'maybe' must be a valid boolean"),
        ("WEB_THREADS", "many", "'many' must be a valid integer"),
        ("WEB_THREADS", "0", "'0' must be greater than or equal to 1"),
        ("WEB_THREADS", "257", "must be less than or equal to 256"),
        ("RATE_LIMIT", "600", "'600' must match pattern"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.1, proxy", "'proxy' must be an IP address or network"),
        ("LOG_FILE", "/proc/none/app.log", "'/proc/none/app.log' cannot be written"),
        ("METRICS_DIR", "/proc/none/metrics", "cannot be created or written"),
        ("API_TOKENS", "good,has space", "contains characters that RFC 6750 does not allow"),
        ("CACHE_TTL_DEFAULT", "86401", "is above CACHE_TTL_MAX"),
        ("REDIS_URL", "http://redis", "must start with redis://"),
        ("REDIS_URL", "redis://[::1", "must be a URL"),
        ("REDIS_URL", "redis://redis:0", "must be a URL"),
        ("REDIS_URL", "redis://redis/items", "must end in the number of a database"),
        *[
            ("REDIS_URL", url, "option after the question mark")
            for url in ("redis://redis/0?db=first", "redis://redis/0?socket_timeout=60")
            + ("rediss://redis/0?protocol=2", "unix:///r?path=/s", "redis://redis/0?db")
        ],
        ("REDIS_URL", "rediss://redis/0?ssl_ca_certs=/nowhere", "ssl_ca_certs that cannot be read"),
        *[
            ("REDIS_URL", url, "must name a host")
            for url in ("redis://:6379/0", "redis://re dis/0", "redis://redis/0#1")
        ],
        ("REDIS_SENTINELS", "one:26379,two", "'two' must be host:port"),
        ("REDIS_SENTINELS", "one:26379,:26379", "must be host:port"),
        *[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url, "must be the http:// or https:// address")
            for url in (
                "collector:4318",
                "grpc://collector:4317",
                "http://:1",
                "http://ü",
                "http://[",
            )
        ],
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://me:pw@collector", "not contain a password"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "'grpc' must be 'http/protobuf'"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10", "'10' must be greater than or equal to 100"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=%0Ab", "must be name=value, separated by commas"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=ü", "must be ASCII"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "ü=a", "must be ASCII"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team shop", "'team shop' must be name=value"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=a,shop", "'team=a,shop' must be name=value"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "'jaeger_remote' must be 'always_on'"),
        ("OTEL_TRACES_SAMPLER_ARG", "10", "'10' must be less than or equal to 1"),
        ("GRAFANA_URL", "grafana", "'grafana' must be the address of a web page"),
        ("PROMETHEUS_URL", "javascript:alert(1)", "must be the address of a web page"),
        *[
            ("BIND", address, f"'{address.rpartition(',')[2]}' must be an address to listen on")
            for address in ("0.0.0.0:http", "0.0.0.0:65536", "0.0.0.0:8000,unix:", "::1:8000")
        ],
    ],
)
def test_a_wrong_value_is_one_line_with_an_example(name: str, value: str, problem: str) -> None:
    message = refusal(**{name: value})
    assert message.startswith(f"{name}: ")
    assert problem in message
    assert re.search(rf"; for example {name}=\S", message)
    assert "\n" not in message


@pytest.mark.parametrize("name", ["SECRET_KEY", "API_TOKENS", "REDIS_URL"])
def test_production_refuses_to_start_without(name: str) -> None:
    assert refusal(**PRODUCTION | {name: ""}).startswith(f"{name}: is missing")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("SECRET_KEY", SECRET[:31], "is shorter than 32 characters"),
        ("SECRET_KEY", f"change-me-{SECRET}", "looks like a placeholder"),
        ("SECRET_KEY", "x" * 40, "looks like a placeholder"),
        ("API_TOKENS", " , ,\n,", "is missing"),
        ("REDIS_URL", "memory://", "is the embedded store, which keeps nothing"),
        ("API_TOKENS", f"{TOKEN},{TOKEN[:23]}", "is shorter than 24 characters"),
        ("API_TOKENS", f"{TOKEN},your-token-{TOKEN}", "looks like a placeholder"),
        ("REDIS_PASSWORD", "p4ssw0rd", "is shorter than 16 characters"),
        *[
            ("REDIS_URL", url, "is shorter than 16 characters")
            for url in ("redis://:p4ssw0rd@redis/0", "redis://redis/0?password=p4ssw0rd")
            + ("unix:///r?password=p4ssw0rd",)
        ],
    ],
)
def test_production_refuses_a_guessable_secret_silently(
    name: str, value: str, problem: str
) -> None:
    message = refusal(**PRODUCTION | {name: value})
    assert message.startswith(f"{name}: {problem}")
    assert value not in message


@pytest.mark.parametrize(
    "url",
    [
        "redis://web:p4ss@redis:notaport/0",  # pragma: allowlist secret
        "redis://:/p4ss@redis",
        "redis://redis/0?password=p4ss&retries=3",
        "http://web:p4ss@redis",  # pragma: allowlist secret
        "redis://:x?p4ss=word@redis/0",
        "redis://:x#p4ss@redis/0",
        "redis://redis?p4ss",
        "redis://:6379?p4ss@redis",
        "rediss://redis/0?ssl_keyfile=/p4ss",
        "ftp://web:p4ss@redis",  # pragma: allowlist secret
    ],
)
@pytest.mark.parametrize("name", ["REDIS_URL", "GRAFANA_URL", "REDIS_SENTINELS"])
def test_a_password_in_a_wrong_url_is_not_repeated(name: str, url: str) -> None:
    if name == "REDIS_URL" or "@" in url and not url.startswith("http"):
        assert "p4ss" not in refusal(**{name: url})


def test_settings_that_do_not_go_together_are_refused() -> None:
    sentinels = refusal(REDIS_SENTINELS="one:26379", REDIS_URL="memory://")
    twice = refusal(SECRET_KEY="a", SECRET_KEY_FILE="/run/secrets/key")
    assert sentinels.startswith("REDIS_URL: must have the name of a primary")
    assert twice.startswith("SECRET_KEY_FILE: is set together with SECRET_KEY")


def test_files_and_folders_to_write_to_are_tried_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "metrics"
    settings = make_settings(LOG_FILE=str(tmp_path / "app.log"), METRICS_DIR=str(folder))
    assert (settings.log_file, settings.metrics_dir) == (str(tmp_path / "app.log"), str(folder))
    assert not list(folder.iterdir())


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    key, tokens = tmp_path / "key", tmp_path / "tokens"
    key.write_text(f"{SECRET}\n")
    tokens.write_text("one\ntwo\n")
    settings = make_settings(SECRET_KEY_FILE=str(key), API_TOKENS_FILE=str(tokens))
    assert (settings.secret_key, settings.api_tokens) == (SECRET, ("one", "two"))


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "not text"])
def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "tokens"
    if content:
        file.write_bytes(content)
    message = refusal(API_TOKENS_FILE=str(file))
    assert message.startswith(f"API_TOKENS_FILE: '{file}' cannot be read")


OLD, NEW = "A7mQ2xLw9Zt4VbN6rK1sYh3D", "Zt4VbN6rK1sYh3DA7mQ2xLw9"
Write = Callable[[str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Replaces the file as Kubernetes does: a link to a folder leads to another one."""
    monkeypatch.setenv("APP_ENV", "production")
    monkeypatch.setenv("REDIS_URL", "redis://redis/0")
    monkeypatch.setenv("SECRET_KEY", "f3c1" + OLD + NEW)
    monkeypatch.setenv("API_TOKENS_FILE", str(tmp_path / "data" / "api_tokens"))

    def replace(text: str) -> None:
        folder = tmp_path / f"version-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "api_tokens").write_text(text, encoding="utf-8")
        os.utime(folder / "api_tokens", (0, 0))  # nobody writes to it any more
        (tmp_path / "new").symlink_to(folder)
        (tmp_path / "new").rename(tmp_path / "data")

    replace(OLD)
    return replace


Used = tuple[SecretFiles, list[tuple[str, ...]]]


@pytest.fixture
def used(write: Write) -> Used:  # pylint: disable=unused-argument
    tokens: list[tuple[str, ...]] = []
    return SecretFiles(Settings.from_env(), lambda new: tokens.append(new.api_tokens)), tokens


def test_a_change_is_taken_up_once(used: Used, write: Write) -> None:
    files, tokens = used
    files.refresh()
    write(f"{OLD}\n{NEW}\n")
    for _ in range(2):
        files.refresh()
    write(NEW)
    files.refresh()

    assert tokens == [(OLD, NEW), (NEW,)]


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        *[(text, "production") for text in ("", "weak", "change-me-change-me-change-me", None)],
        ("", "development"),  # tokens are optional there: it does not open writing
    ],
)
def test_an_unusable_or_missing_file_is_named_once_and_changes_nothing(
    used: Used, write: Write, text: str | None, environment: str, caplog: pytest.LogCaptureFixture
) -> None:
    files, tokens = used
    os.environ["APP_ENV"] = environment
    if text is None:
        Path(os.environ["API_TOKENS_FILE"]).parent.unlink()
    else:
        write(text)
    for _ in range(2):
        files.refresh()

    (record,) = caplog.records
    assert (record.levelno, tokens) == (logging.ERROR, [])
    assert "API_TOKENS" in record.getMessage()
    assert not text or text not in record.getMessage()
    write(NEW)
    files.refresh()
    assert tokens == [(NEW,)]


@pytest.mark.parametrize(
    ("endpoint", "of_traces", "url"),
    [
        ("", "", ""),
        ("http://c:4318/", "", "http://c:4318/v1/traces"),
        ("https://c/otlp", "", "https://c/otlp/v1/traces"),
        ("http://c:4318", "http://d/traces", "http://d/traces"),
    ],
)
def test_an_endpoint_gets_the_path_of_traces_and_that_of_traces_alone_does_not(
    endpoint: str, of_traces: str, url: str
) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": of_traces,
    }
    assert make_settings(**environ).traces_url == url
    assert make_settings(**environ, OTEL_SDK_DISABLED="true").traces_url == ""


def test_a_wrong_header_of_the_collector_is_not_printed(tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("Authorization=a-secret\x07", encoding="utf-8")
    message = refusal(OTEL_EXPORTER_OTLP_HEADERS_FILE=str(tmp_path / "headers"))
    assert message.startswith("OTEL_EXPORTER_OTLP_HEADERS: must be name=value")
    assert "a-secret" not in message and "a-secret" not in repr(make_settings())


def test_variables_of_opentelemetry_that_change_nothing_are_named_if_traces_are_on() -> None:
    environ = {"OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED", "OTEL_EXPORTER_OTLP_HEADERS_FILE"}
    settings = make_settings(OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318")
    assert settings.without_effect(environ) == ["OTEL_TRACES_EXPORTER"]
    assert not make_settings().without_effect(environ)
