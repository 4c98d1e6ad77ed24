"""before_request checks: URL encoding, trusted host, rate limit."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.app_parts import BEARER, TOKEN

INFO = "/api/v1/info"


@pytest.mark.parametrize(
    "path",
    ["/api/v1/cache/a%00b", "/%00", "/static/%00", "/api/v1/items?cursor=%00", "/health?%00"],
)
def test_a_nul_in_the_url_is_a_400(client: FlaskClient, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 400
    assert response.json is not None and "NUL" in response.json["detail"]


@pytest.mark.parametrize("path", [b"/api/v1/cache/\xff", b"/\xc3", b"/\xed\xa0\x80"])
def test_a_path_that_is_not_utf8_is_a_400(client: FlaskClient, path: bytes) -> None:
    response = client.get("/", environ_overrides={"PATH_INFO": path.decode("latin-1")})

    assert response.status_code == 400
    assert response.json is not None and "UTF-8" in response.json["detail"]


def test_a_path_in_utf8_is_looked_up(client: FlaskClient) -> None:
    response = client.get("/caf%C3%A9")

    assert response.status_code == 404
    assert response.json is not None and response.json["instance"] == "/café"


@pytest.mark.parametrize("path", ["//metrics", "//health", "///api/v1/info", "//"])
def test_a_path_with_two_slashes_is_not_that_with_one(client: FlaskClient, path: str) -> None:
    assert client.get("/", environ_overrides={"PATH_INFO": path}).status_code == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("example.org", 200),
        ("EXAMPLE.org:8080", 200),
        ("api.example.com", 200),
        ("evil.example", 400),
        ("example.org.evil.example", 400),
        ("example.org@evil.example", 400),
        ("", 400),
    ],
)
def test_only_trusted_hosts_are_answered(
    make_client: Callable[..., FlaskClient], host: str, status: int
) -> None:
    client = make_client(TRUSTED_HOSTS="example.org,.example.com")

    assert client.get(INFO, headers={"Host": host}).status_code == status


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics"])
def test_probes_and_scrapes_need_no_trusted_host_and_have_no_rate_limit(
    make_client: Callable[..., FlaskClient], path: str
) -> None:
    client = make_client(TRUSTED_HOSTS="example.org", RATE_LIMIT="1/day")

    answers = [client.get(path, headers={"Host": "10.0.0.3"}).status_code for _ in range(3)]

    assert answers == [200] * 3


@pytest.mark.parametrize("path", ["/healthx", "/metricsx", "/health.php"])
def test_a_path_that_only_begins_like_a_probe_is_checked(
    make_client: Callable[..., FlaskClient], path: str
) -> None:
    client = make_client(TRUSTED_HOSTS="example.org", RATE_LIMIT="1/day")

    answers = [client.get(path, headers={"Host": "example.org"}).status_code for _ in range(2)]

    assert answers == [404, 429]
    assert client.get(path, headers={"Host": "10.0.0.3"}).status_code == 400


def test_a_client_over_its_rate_is_a_429_that_says_when_to_come_back(
    make_client: Callable[..., FlaskClient],
) -> None:
    client = make_client(RATE_LIMIT="2/day")

    first, second, third = (client.get(INFO) for _ in range(3))

    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    assert 0 < int(third.headers["Retry-After"]) <= 86_400


def test_clients_are_distinguished_by_token_else_by_address(
    make_client: Callable[..., FlaskClient],
) -> None:
    client = make_client(RATE_LIMIT="1/day", API_TOKENS=TOKEN)

    def ask(address: str, **headers: Any) -> int:
        origin = {"REMOTE_ADDR": address}
        return client.get(INFO, environ_base=origin, headers=headers).status_code

    answers = [
        ask("192.0.2.1"), ask("192.0.2.2"), ask("192.0.2.1"),
        ask("192.0.2.1", **BEARER), ask("192.0.2.3", **BEARER),
    ]  # fmt: skip

    assert answers == [200, 200, 429, 200, 429]


def test_a_made_up_token_does_not_get_around_the_rate(
    make_client: Callable[..., FlaskClient],
) -> None:
    client = make_client(RATE_LIMIT="1/day", API_TOKENS=TOKEN)

    answers = [
        client.get(INFO, headers={"Authorization": f"Bearer made-up-{number}"}).status_code
        for number in range(2)
    ]

    assert answers == [200, 429]
