"""Settings: what is read, what is refused, and with which words."""

import re
from dataclasses import FrozenInstanceError
from ipaddress import ip_network
from pathlib import Path

import pytest

from app import __version__
from app.config import Settings, SettingsError

SECRET = "kB9v-Lw2xQ7m.Zt4VbN6rK1sYh3Dp8Ug5"
TOKEN = "A7mQ2xLw9Zt4VbN6rK1sYh3D"
PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": SECRET,
    "API_TOKENS": TOKEN,
    "REDIS_URL": "redis://redis:6379/0",
}


def problem(environ: dict[str, str]) -> str:
    """The message that stops the start."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    return str(caught.value)


def test_without_any_variable_it_is_a_development_service_on_the_embedded_store() -> None:
    settings = Settings.from_env({})

    assert (settings.environment, settings.version) == ("development", __version__)
    assert settings.embedded_store and settings.demo_enabled and not settings.production
    assert settings.bind == ("127.0.0.1:8080",)
    assert settings.web_concurrency is None
    assert not settings.session_cookie_secure


def test_a_secret_key_is_made_up_outside_production_and_is_another_each_time() -> None:
    first, second = Settings.from_env({}).secret_key, Settings.from_env({}).secret_key

    assert len(first) == 64
    assert first != second


def test_production_turns_the_demo_off_and_secures_the_cookie() -> None:
    settings = Settings.from_env(PRODUCTION)

    assert settings.production
    assert not settings.demo_enabled
    assert settings.session_cookie_secure


def test_settings_cannot_be_changed() -> None:
    settings = Settings.from_env({})

    with pytest.raises(FrozenInstanceError):
        settings.web_threads = 1  # type: ignore[misc]


def test_an_empty_variable_counts_as_unset() -> None:
    settings = Settings.from_env({"WEB_THREADS": " ", "LOG_FILE": "", "RATE_LIMIT": ""})

    assert (settings.web_threads, settings.log_file, settings.rate_limit) == (8, None, "")


def test_lists_are_split_at_commas_and_at_line_ends() -> None:
    settings = Settings.from_env(
        {
            "API_TOKENS": "one,two\nthree\n",
            "TRUSTED_HOSTS": "example.org, .example.com",
            "FORWARDED_ALLOW_IPS": "10.0.0.1,172.16.0.0/12,::1",
            "BIND": "0.0.0.0:8000,unix:/run/web.sock",
        }
    )

    assert settings.api_tokens == ("one", "two", "three")
    assert settings.trusted_hosts == ("example.org", ".example.com")
    assert settings.forwarded_allow_ips == tuple(
        ip_network(each) for each in ("10.0.0.1", "172.16.0.0/12", "::1")
    )
    assert settings.bind == ("0.0.0.0:8000", "unix:/run/web.sock")


@pytest.mark.parametrize("word", ["true", "1", "yes", "on", "TRUE"])
def test_there_are_several_words_for_true(word: str) -> None:
    assert Settings.from_env({"READINESS_REQUIRES_REDIS": word}).readiness_requires_redis


@pytest.mark.parametrize("word", ["false", "0", "no", "off", "False"])
def test_there_are_several_words_for_false(word: str) -> None:
    assert not Settings.from_env({"DEMO_ENABLED": word}).demo_enabled


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    (tmp_path / "password").write_text("p4ss")

    settings = Settings.from_env(
        {
            "SECRET_KEY_FILE": str(tmp_path / "key"),
            "REDIS_PASSWORD_FILE": str(tmp_path / "password"),
        }
    )

    assert (settings.secret_key, settings.redis_password) == (SECRET, "p4ss")


@pytest.mark.parametrize(
    "url", ["redis://redis:6379/0", "rediss://user:x@redis/1", "unix:///run/redis.sock?db=2"]
)
def test_every_kind_of_redis_url_is_taken(url: str) -> None:
    settings = Settings.from_env({"REDIS_URL": url})

    assert settings.redis_url == url
    assert not settings.embedded_store


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("APP_ENV", "prod", "'prod' is none of development, testing, production"),
        ("LOG_LEVEL", "verbose", "is none of DEBUG, INFO, WARNING, ERROR"),
        ("SERVICE_NAME", "My Service", "does not match"),
        ("REDIS_KEY_PREFIX", "a b", "does not match"),
        ("DEMO_ENABLED", "maybe", "'maybe' is neither true nor false"),
        ("WEB_THREADS", "many", "'many' is no whole number from 1 to 256"),
        ("WEB_THREADS", "0", "'0' is no whole number from 1 to 256"),
        ("WEB_THREADS", "257", "is no whole number from 1 to 256"),
        ("WEB_THREADS", "1e2", "is no whole number"),
        ("WEB_CONCURRENCY", "-1", "is no whole number from 0 to 128"),
        ("MAX_CONTENT_LENGTH", "9" * 13, "is no whole number"),
        ("RATE_LIMIT", "600", "'600' is no rate"),
        ("RATE_LIMIT", "0/minute", "is no rate"),
        ("RATE_LIMIT", "5/fortnight", "is no rate"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.1, proxy", "'proxy' is no IP address or network"),
        ("LOG_FILE", "/proc/none/app.log", "'/proc/none/app.log' cannot be written"),
        ("METRICS_DIR", "/proc/none/metrics", "cannot be made or written"),
        ("API_TOKENS", "good,has space", "other signs than RFC 6750 allows"),
        ("API_TOKENS", "a\x7fb", "other signs than RFC 6750 allows"),
        ("CACHE_TTL_DEFAULT", "86401", "is above CACHE_TTL_MAX"),
    ],
)
def test_a_wrong_value_is_told_in_one_line_with_the_name_and_an_example(
    name: str, value: str, said: str
) -> None:
    message = problem({name: value})

    assert message.startswith(f"{name}: ")
    assert said in message
    assert re.search(rf"; for example {name}=\S", message)
    assert "\n" not in message


@pytest.mark.parametrize("name", ["SECRET_KEY", "API_TOKENS", "REDIS_URL"])
def test_production_refuses_to_start_without(name: str) -> None:
    message = problem({key: value for key, value in PRODUCTION.items() if key != name})

    assert message.startswith(f"{name}: is missing")


def test_production_refuses_the_embedded_store() -> None:
    message = problem(PRODUCTION | {"REDIS_URL": "memory://"})

    assert message.startswith("REDIS_URL: is the embedded store, which keeps nothing")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SECRET_KEY", SECRET[:31], "is shorter than 32 characters"),
        ("SECRET_KEY", f"change-me-{SECRET}", "looks like a placeholder"),
        ("SECRET_KEY", "x" * 40, "looks like a placeholder"),
        ("API_TOKENS", " , ,\n,", "is missing"),
        ("API_TOKENS", f"{TOKEN},{TOKEN[:23]}", "is shorter than 24 characters"),
        ("API_TOKENS", f"{TOKEN},your-token-{TOKEN}", "looks like a placeholder"),
        ("REDIS_PASSWORD", "p4ssw0rd", "is shorter than 16 characters"),
        ("REDIS_URL", "redis://:p4ssw0rd@redis/0", "is shorter than 16 characters"),
    ],
)
def test_production_refuses_a_secret_that_could_be_guessed_and_does_not_repeat_it(
    name: str, value: str, said: str
) -> None:
    message = problem(PRODUCTION | {name: value})

    assert message.startswith(f"{name}: {said}")
    assert value not in message


def test_a_password_within_a_wrong_url_is_not_repeated() -> None:
    message = problem({"REDIS_URL": "redis://web:p4ss@redis:notaport/0"})

    assert "redis://…@redis:notaport/0' is no URL" in message
    assert "p4ss" not in message


def test_files_and_folders_to_write_to_are_tried_at_once(tmp_path: Path) -> None:
    settings = Settings.from_env(
        {"LOG_FILE": str(tmp_path / "app.log"), "METRICS_DIR": str(tmp_path / "new" / "metrics")}
    )

    assert (settings.log_file, settings.metrics_dir) == (
        str(tmp_path / "app.log"),
        str(tmp_path / "new" / "metrics"),
    )
    assert not list((tmp_path / "new" / "metrics").iterdir())


def test_the_addresses_of_the_monitoring_are_taken_as_they_are() -> None:
    settings = Settings.from_env({"GRAFANA_URL": "https://grafana.example.org/ops"})

    assert settings.grafana_url == "https://grafana.example.org/ops"
    assert (settings.prometheus_url, settings.alertmanager_url) == ("", "")


def test_elsewhere_a_short_secret_will_do() -> None:
    assert Settings.from_env({"SECRET_KEY": "short"}).secret_key == "short"


def test_a_secret_both_as_variable_and_as_file_is_refused() -> None:
    message = problem({"SECRET_KEY": "a", "SECRET_KEY_FILE": "/run/secrets/key"})

    assert message.startswith("SECRET_KEY_FILE: is set together with SECRET_KEY")


def test_a_secret_file_that_cannot_be_read_is_told_by_its_path(tmp_path: Path) -> None:
    message = problem({"API_TOKENS_FILE": str(tmp_path / "missing")})

    assert message.startswith("API_TOKENS_FILE: ")
    assert "missing' cannot be read" in message


def test_a_secret_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe")

    message = problem({"SECRET_KEY_FILE": str(tmp_path / "key")})

    assert "cannot be read" in message
