"""Settings that say where something is: wrong ones are told at the start, not at the first use."""

import re

import pytest

from app.config import Settings, SettingsError

STRONG = {
    "SECRET_KEY": "kB9v-Lw2xQ7m.Zt4VbN6rK1sYh3Dp8Ug5",
    "API_TOKENS": "Zt4VbN6rK1sYh3Dp8Ug5kB9v-Lw2xQ7m",
}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("REDIS_URL", "http://redis", "must start with redis://"),
        ("REDIS_URL", "redis://[::1", "is no URL"),
        ("REDIS_URL", "redis://redis:0", "is no URL"),
        ("REDIS_URL", "redis://redis/items", "names the database '/items', which is no number"),
        ("GRAFANA_URL", "grafana", "'grafana' is no address of a web page"),
        ("PROMETHEUS_URL", "javascript:alert(1)", "is no address of a web page"),
        ("ALERTMANAGER_URL", "http://", "is no address of a web page"),
        ("REDIS_URL", "redis://redis/0?db=first", "an option behind the ?"),
        ("REDIS_URL", "redis://redis/0?retries=3", "an option behind the ?"),
        ("REDIS_URL", "rediss://redis/0?protocol=9", "an option behind the ?"),
        ("BIND", "0.0.0.0:http", "'0.0.0.0:http' is no address to listen on"),
        ("BIND", "0.0.0.0:65536", "is no address to listen on"),
        ("BIND", "0.0.0.0:8000,unix:", "'unix:' is no address to listen on"),
        ("BIND", "::1:8000", "is no address to listen on"),
    ],
)
def test_a_wrong_address_is_told_in_one_line_with_the_name_and_an_example(
    name: str, value: str, said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({name: value})

    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert said in message
    assert re.search(rf"; for example {name}=\S", message)
    assert "\n" not in message


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "web:8000", ":8000", "[::]:8000", "[::1]", "unix:/run/a.sock", "fd://3"],
)
def test_every_kind_of_address_can_be_listened_on(address: str) -> None:
    assert Settings.from_env({"BIND": address}).bind == (address,)


@pytest.mark.parametrize(
    "url", ["redis://:p4ss@redis/0", "redis://redis/0?password=p4ss", "unix:///r?password=p4ss"]
)
def test_a_weak_password_is_refused_in_production_wherever_the_url_has_it(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^REDIS_URL: is shorter than 16") as caught:
        Settings.from_env(STRONG | {"APP_ENV": "production", "REDIS_URL": url})

    assert "p4ss" not in str(caught.value)


def test_a_password_behind_the_question_mark_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"REDIS_URL": "redis://redis/0?password=p4ss&retries=3"})

    assert "p4ss" not in str(caught.value)
