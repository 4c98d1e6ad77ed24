"""Sessions: kept on the server, fetched when used, behind a cookie that no script can read."""

import json
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from app.factory import create_app
from app.http.session_interface import RedisSessionInterface
from app.redis_client.client import RedisClient, RedisFull, RedisUnavailable
from app.services.stats import StatsService
from app.utils import metrics
from tests.support.app_parts import make_settings, sample, seconds_left

URL = "/api/v1/session"
Kept = Callable[[], dict[bytes, bytes]]


@pytest.fixture
def app(redis: RedisClient) -> Flask:
    """The application, with its sessions in a store that the test can look into."""
    app = create_app(make_settings(SESSION_TTL_SECONDS="77"))
    app.session_interface = RedisSessionInterface(app, redis)
    return app


@pytest.fixture
def kept(redis: RedisClient) -> Kept:
    """What the store holds of sessions: their keys and contents."""

    def look(client: Redis) -> dict[bytes, Any]:
        return {key: client.get(key) for key in client.scan_iter("ds:session:*")}

    return lambda: redis.run(look)


def put(client: FlaskClient, **content: Any) -> Any:
    return client.put(URL, json=content)


def cookie(client: FlaskClient) -> str:
    found = client.get_cookie("session")
    assert found is not None
    return found.value


def test_a_get_starts_no_session_and_one_is_read_back_by_the_same_browser_alone(
    app: Flask, client: FlaskClient, kept: Kept
) -> None:
    without = client.get(URL)
    assert without.json == {"active": False, "user": None, "data": {}}
    assert "Set-Cookie" not in without.headers
    assert kept() == {}

    put(client, user="ada", data={"theme": "dark"})

    assert client.get(URL).json == {"active": True, "user": "ada", "data": {"theme": "dark"}}
    assert app.test_client().get(URL).get_json()["active"] is False


def test_the_cookie_is_kept_from_scripts_and_other_sites(client: FlaskClient) -> None:
    header = put(client, data={}).headers["Set-Cookie"]
    assert header.startswith("session=")
    assert "; HttpOnly" in header and "; SameSite=Lax" in header and "; Path=/" in header
    assert "Secure" not in header


def test_a_secure_cookie_is_bound_to_the_host_and_can_be_taken_back() -> None:
    client = create_app(make_settings(SESSION_COOKIE_SECURE="true")).test_client()

    given = client.put(URL, json={}, base_url="https://localhost")
    taken = client.delete(URL, base_url="https://localhost")

    for response in (given, taken):
        (header,) = response.headers.getlist("Set-Cookie")
        assert header.startswith("__Host-session=")
        assert "; Secure" in header and "; Path=/" in header and "Domain" not in header
    assert "Max-Age=0" in taken.headers["Set-Cookie"]


def test_redis_holds_no_usable_id(client: FlaskClient, kept: Kept, redis: RedisClient) -> None:
    put(client, data={"theme": "dark"})
    ((key, content),) = kept().items()
    assert cookie(client).encode() not in key + content
    assert json.loads(content)["data"] == {"theme": "dark"}
    (seconds,) = seconds_left(redis, "ds:session:*").values()
    assert 70 < seconds <= 77


def test_another_user_gets_another_session_id(client: FlaskClient, kept: Kept) -> None:
    ids = []
    for user in (None, "ada", "ada"):
        put(client, user=user, data={"basket": 1})
        ids.append(cookie(client))
    assert ids[0] != ids[1] == ids[2]
    assert len(kept()) == 1


@pytest.mark.parametrize("made_up", ["x" * 43, "../../etc", "é", "session:1", "%00"])
def test_a_session_id_made_up_by_a_client_is_not_used(client: FlaskClient, made_up: str) -> None:
    client.set_cookie("session", made_up)
    put(client, data={})
    assert cookie(client) != made_up


def test_an_ended_session_and_its_cookie_are_gone(client: FlaskClient, kept: Kept) -> None:
    put(client, user="ada", data={})
    old = cookie(client)

    response = client.delete(URL)
    client.set_cookie("session", old)

    assert response.status_code == 204
    assert "Max-Age=0" in response.headers["Set-Cookie"]
    assert kept() == {}
    assert client.get(URL).get_json()["active"] is False


def test_a_session_that_has_ended_is_none_although_it_is_still_stored(
    client: FlaskClient, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client, data={})
    later = time.time() + 78
    monkeypatch.setattr("app.http.session_interface.time.time", lambda: later)
    assert client.get(URL).get_json()["active"] is False
    assert kept()


@pytest.mark.parametrize("user", ["ada", "bob"])
def test_a_session_that_ends_beside_a_put_stays_ended(
    app: Flask, client: FlaskClient, kept: Kept, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    put(client, user="ada", data={})
    other = app.test_client()
    other.set_cookie("session", cookie(client))
    interface = cast(RedisSessionInterface, app.session_interface)
    fetch = interface.fetch

    def ended_after_the_fetch(*arguments: Any) -> Any:
        opened = fetch(*arguments)
        monkeypatch.setattr(interface, "fetch", fetch)
        assert other.delete(URL).status_code == 204
        return opened

    monkeypatch.setattr(interface, "fetch", ended_after_the_fetch)
    response = put(client, user=user, data={"theme": "dark"})

    assert response.status_code == 409
    assert "Set-Cookie" not in response.headers
    assert kept() == {}


def test_each_session_is_counted_once_as_started_and_while_it_lives(
    app: Flask, client: FlaskClient, redis: RedisClient
) -> None:
    stats = StatsService(make_settings(), redis)
    before = sample(metrics.SESSIONS_STARTED)

    put(client, data={"basket": 1})
    put(client, data={"basket": 2})
    put(app.test_client(), data={})
    alive = stats.population().sessions
    client.delete(URL)

    assert sample(metrics.SESSIONS_STARTED) - before == 2
    assert alive == 2
    assert stats.population().sessions == 1


def test_a_request_that_does_not_use_its_session_reads_nothing_from_redis(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client, data={})

    def refuse(*_: Any) -> None:
        raise AssertionError("the session was fetched")

    monkeypatch.setattr(app.session_interface, "fetch", refuse)

    assert client.get("/health/live").status_code == 200


def test_the_size_of_a_session_is_limited(client: FlaskClient, kept: Kept) -> None:
    response = put(client, data={"text": "x" * 16_384})
    assert response.status_code == 422
    assert kept() == {}


@pytest.mark.parametrize(
    ("error", "status"), [(RedisUnavailable("gone"), 503), (RedisFull("full"), 507)]
)
def test_a_session_that_could_not_be_stored_is_an_error(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(app.session_interface, "_upsert_session", fail)

    response = put(client, data={})

    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    assert response.get_json()["status"] == status
    assert "Set-Cookie" not in response.headers
