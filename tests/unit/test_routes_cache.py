"""The cache over HTTP."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.services.cache_service import CacheService
from tests.support.app_parts import BEARER, TOKEN, nowhere

URL = "/api/v1/cache/greeting"


@pytest.mark.parametrize(
    "value", [{"ü\0": [1, 2.5, 1e-7]}, [], "\u2028\U0001f600", 0, False, None, 2**64 - 1, -(2**63)]
)
def test_any_json_value_is_stored_and_read_back(client: FlaskClient, value: Any) -> None:
    stored = client.put(URL, data=json.dumps(value), content_type="application/json")
    read = client.get(URL)
    assert (stored.status_code, stored.json) == (201, value)
    assert (read.status_code, read.json) == (200, value)
    assert read.headers["ETag"] == stored.headers["ETag"]


def test_head_is_get_without_the_value_and_nothing_is_a_404(client: FlaskClient) -> None:
    assert [client.get(URL).status_code, client.delete(URL).status_code] == [404, 404]
    client.put(URL, json="value")
    response = client.head(URL)
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["ETag"] == client.get(URL).headers["ETag"]


@pytest.mark.parametrize(("query", "seconds"), [("", 300), ("?ttl=60", 60), ("?ttl=86400", 86400)])
def test_an_entry_lives_as_long_as_asked(client: FlaskClient, query: str, seconds: int) -> None:
    client.put(URL + query, json=1)
    left = int(client.get(URL).headers["X-Cache-TTL"])
    assert seconds - 10 < left <= seconds


@pytest.mark.parametrize(
    "ttl", ["-1", "0", "86401", "9" * 30, "1.5", "1e3", "inf", "nan", "1_0", "", "x"]
)
def test_an_invalid_time_to_live_is_a_422_and_stores_nothing(client: FlaskClient, ttl: str) -> None:
    response = client.put(f"{URL}?ttl={ttl}", json=1)
    assert response.status_code == 422
    assert [error["location"] for error in response.get_json()["errors"]] == ["query.ttl"]
    assert client.get(URL).status_code == 404


@pytest.mark.parametrize("key", ["a", "A.b_c:d~e@f-0", "k" * 200, "..."])
def test_every_documented_key_is_accepted(client: FlaskClient, key: str) -> None:
    client.put(f"/api/v1/cache/{key}", json=key)
    assert client.get(f"/api/v1/cache/{key}").json == key


def test_a_matching_etag_is_answered_with_a_304(client: FlaskClient) -> None:
    etag = client.put(URL, json=1).headers["ETag"]
    same = client.get(URL, headers={"If-None-Match": f'"other", W/{etag}'})
    other = client.get(URL, headers={"If-None-Match": '"other"'})
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", etag)
    assert other.status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_stale_etag_or_none_to_match_is_a_412(client: FlaskClient, method: str) -> None:
    missing = client.open(URL, method=method, json=1, headers={"If-Match": "*"})
    stale = client.put(URL, json=1).headers["ETag"]
    client.put(URL, json=2)
    response = client.open(URL, method=method, json=3, headers={"If-Match": stale})
    assert (missing.status_code, response.status_code) == (412, 412)
    assert client.get(URL).json == 2


@pytest.mark.parametrize(
    "wanted", ["*", "{etag}", '"other", {etag}', 'W/"other", {etag}', '{etag}, W/"other"', ""]
)
def test_a_write_with_the_right_etag_is_done(client: FlaskClient, wanted: str) -> None:
    etag = client.put(URL, json=1).headers["ETag"]
    headers = {"If-Match": wanted.format(etag=etag)}
    assert client.put(URL, json=2, headers=headers).status_code == 200


def test_of_two_deletes_side_by_side_one_is_a_404(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put(URL, json=1)
    cache = app.extensions["services"][CacheService]
    peek = cache.peek

    def overtaken(key: str) -> Any:
        seen = peek(key)
        monkeypatch.setattr(cache, "peek", peek)
        assert client.delete(URL).status_code == 204
        return seen

    monkeypatch.setattr(cache, "peek", overtaken)

    assert app.test_client().delete(URL).status_code == 404


def test_if_none_match_stores_only_a_missing_entry(client: FlaskClient) -> None:
    answers = [
        client.put(URL, json=1, headers={"If-None-Match": etag}) for etag in ("*", "*", '"other"')
    ]
    assert [answer.status_code for answer in answers] == [201, 412, 200]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_conditional_write_that_another_overtakes_is_a_412(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    etag = client.put(URL, json=1).headers["ETag"]
    cache = app.extensions["services"][CacheService]
    replace = cache.replace

    def overtaken(key: str, *arguments: Any, **conditions: Any) -> bool:
        replace(key, b"2", 60)
        return bool(replace(key, *arguments, **conditions))

    monkeypatch.setattr(cache, "replace", overtaken)

    response = client.open(URL, method=method, json=3, headers={"If-Match": etag})

    assert response.status_code == 412
    assert client.get(URL).json == 2


def test_the_cache_reports_its_use(client: FlaskClient) -> None:
    client.get(URL)
    client.put(URL, json=1)
    client.get(URL)

    stats = client.get("/api/v1/cache").get_json()

    assert (stats["hits"], stats["misses"], stats["ratio"]) == (1, 1, 0.5)
    assert (stats["keys"], stats["keys_complete"]) == (1, True)
    assert stats["memory_bytes"] is None


def test_writing_needs_a_token_reading_does_not(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(API_TOKENS=TOKEN)
    refused = client.put(URL, json=1)
    stored = client.put(URL, json=1, headers=BEARER)
    kept = client.delete(URL)
    assert (refused.status_code, stored.status_code, kept.status_code) == (401, 201, 401)
    assert client.get(URL).json == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_without_redis_it_is_a_503(make_client: Callable[..., FlaskClient], method: str) -> None:
    response = make_client(REDIS_URL=nowhere()).open(URL, method=method, json=1)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
