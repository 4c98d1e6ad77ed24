"""before_request checks: URL encoding, trusted host, rate limit."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.support.app_parts import TOKEN

INFO = "/api/v1/info"


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        *[(path, "NUL") for path in ("/api/v1/cache/a\0b", "/\0", "/static/\0")],
        *[(path, "NUL") for path in ("/api/v1/items?cursor=%00", "/health?%00")],
        *[(path, "UTF-8") for path in ("/api/v1/cache/\xff", "/\xc3", "/\xed\xa0\x80")],
    ],
)
def test_a_nul_or_invalid_utf8_is_a_400(client: FlaskClient, path: str, detail: str) -> None:
    path, _, query = path.partition("?")
    response = client.get("/", environ_overrides={"PATH_INFO": path, "QUERY_STRING": query})
    assert response.status_code == 400
    assert detail in response.get_json()["detail"]


def test_a_path_in_utf8_is_looked_up(client: FlaskClient) -> None:
    response = client.get("/caf%C3%A9")
    assert (response.status_code, response.get_json()["instance"]) == (404, "/café")


@pytest.mark.parametrize("path", ["//metrics", "//health", "///api/v1/info", "//"])
def test_a_path_with_two_slashes_is_not_that_with_one(client: FlaskClient, path: str) -> None:
    assert client.get("/", environ_overrides={"PATH_INFO": path}).status_code == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [("example.org", 200), ("EXAMPLE.org:8080", 200), ("api.example.com", 200)]
    + [("evil.example", 400), ("example.org.evil.example", 400)]
    + [("example.org@evil.example", 400), ("", 400)],
)
def test_only_trusted_hosts_are_answered(
    make_client: Callable[..., FlaskClient], host: str, status: int
) -> None:
    client = make_client(TRUSTED_HOSTS="example.org,.example.com")
    assert client.get(INFO, headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("path", "answers"),
    [
        *[(path, [200] * 4) for path in ("/health", "/health/live", "/health/ready", "/metrics")],
        # Those only begin like them.
        *[(path, [404, 429, 400, 400]) for path in ("/healthx", "/metricsx", "/health.php")],
    ],
)
def test_probes_and_scrapes_alone_need_no_trusted_host_and_have_no_rate_limit(
    make_client: Callable[..., FlaskClient], path: str, answers: list[int]
) -> None:
    client = make_client(TRUSTED_HOSTS="example.org", RATE_LIMIT="1/day")
    hosts = ["example.org"] * 2 + ["10.0.0.3"] * 2
    assert [client.get(path, headers={"Host": host}).status_code for host in hosts] == answers


def test_a_client_over_its_rate_is_a_429_with_a_time(
    make_client: Callable[..., FlaskClient],
) -> None:
    client = make_client(RATE_LIMIT="2/day")
    first, second, third = (client.get(INFO) for _ in range(3))
    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    assert 0 < int(third.headers["Retry-After"]) <= 86_400


def test_clients_are_told_apart_by_token_or_address(
    make_client: Callable[..., FlaskClient],
) -> None:
    client = make_client(RATE_LIMIT="1/day", API_TOKENS=TOKEN)

    def ask(address: str, token: str = "") -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        origin = {"REMOTE_ADDR": address}
        return client.get(INFO, environ_base=origin, headers=headers).status_code

    assert [ask("192.0.2.1"), ask("192.0.2.2"), ask("192.0.2.1")] == [200, 200, 429]
    assert [ask("192.0.2.1", TOKEN), ask("192.0.2.3", TOKEN)] == [200, 429]
    # One that is made up does not get around the rate.
    assert [ask("192.0.2.4", "made-up-0"), ask("192.0.2.4", "made-up-1")] == [200, 429]
