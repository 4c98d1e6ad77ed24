"""Items over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.services.items import ItemService, StaleItem
from tests.support.app_parts import BEARER, TOKEN, nowhere

URL = "/api/v1/items"
TEA = {"name": "Tea", "description": "Green", "quantity": 3, "tags": ["kitchen"]}


@pytest.fixture
def tea(client: FlaskClient) -> Any:
    """An item that is there, as its creation answered."""
    return client.post(URL, json=TEA)


@pytest.fixture
def tea_url(tea: Any) -> str:
    url: str = tea.headers["Location"]
    return url


def test_a_created_item_is_told_with_its_place_and_version(client: FlaskClient, tea: Any) -> None:
    assert tea.status_code == 201
    assert tea.headers["ETag"] == '"v1"'
    assert tea.json == TEA | {
        name: tea.json[name] for name in ("id", "version", "created_at", "updated_at")
    }
    assert client.get(tea.headers["Location"]).json == tea.json


def test_what_is_left_out_gets_its_default(client: FlaskClient) -> None:
    item = client.post(URL, json={"name": "Tea"}).json

    assert (item["description"], item["quantity"], item["tags"]) == ("", 0, [])


@pytest.mark.parametrize(
    ("change", "location"),
    [
        ({"name": ""}, "body.name"),
        ({"name": "x" * 101}, "body.name"),
        ({"name": None}, "body.name"),
        ({"name": 5}, "body.name"),
        ({"description": "x" * 1001}, "body.description"),
        ({"quantity": -1}, "body.quantity"),
        ({"quantity": 1_000_000_001}, "body.quantity"),
        ({"quantity": 1.5}, "body.quantity"),
        ({"quantity": "3"}, "body.quantity"),
        ({"quantity": True}, "body.quantity"),
        ({"tags": ["a"] * 21}, "body.tags"),
        ({"tags": ["ok", ""]}, "body.tags.1"),
        ({"tags": "kitchen"}, "body.tags"),
        ({"color": "green"}, "body.color"),
        ({"id": "mine"}, "body.id"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_wrong_member_is_a_422_that_names_it_and_changes_nothing(
    client: FlaskClient, tea: Any, method: str, change: dict[str, Any], location: str
) -> None:
    url = URL if method == "POST" else tea.headers["Location"]

    response = client.open(url, method=method, json=TEA | change)

    assert response.status_code == 422
    assert [error["location"] for error in response.json["errors"]] == [location]
    assert client.get(URL).json["items"] == [tea.json]


def test_a_replaced_item_has_only_what_the_new_body_says(client: FlaskClient, tea_url: str) -> None:
    response = client.put(tea_url, json={"name": "Coffee"})

    assert response.status_code == 200
    assert response.headers["ETag"] == '"v2"'
    assert (response.json["name"], response.json["tags"]) == ("Coffee", [])


def test_a_changed_item_keeps_what_the_body_leaves_out(client: FlaskClient, tea_url: str) -> None:
    response = client.patch(tea_url, json={"quantity": 4.0})

    assert response.status_code == 200
    assert (response.json["quantity"], response.json["name"]) == (4, "Tea")


def test_a_deleted_item_is_gone(client: FlaskClient, tea_url: str) -> None:
    response = client.delete(tea_url)

    assert (response.status_code, response.data) == (204, b"")
    assert client.get(tea_url).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_an_item_that_is_not_there_is_a_404(client: FlaskClient, method: str) -> None:
    assert client.open(f"{URL}/no-such", method=method, json=TEA).status_code == 404


@pytest.mark.parametrize("item_id", ["a b", "x" * 65, "ä", "a.b", "*"])
def test_an_id_that_cannot_be_one_is_a_422(client: FlaskClient, item_id: str) -> None:
    assert client.get(f"{URL}/{item_id}").status_code == 422


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_write_with_a_stale_etag_is_a_412_and_changes_nothing(
    client: FlaskClient, tea: Any, tea_url: str, method: str
) -> None:
    changed = client.patch(tea_url, json={"quantity": 4}).json

    response = client.open(
        tea_url, method=method, json={"name": "Late"}, headers={"If-Match": tea.headers["ETag"]}
    )

    assert response.status_code == 412
    assert client.get(tea_url).json == changed


@pytest.mark.parametrize("wanted", ['"v1"', '"v0", "v1"', "*"])
@pytest.mark.parametrize(("method", "status"), [("PUT", 200), ("PATCH", 200), ("DELETE", 204)])
def test_a_write_with_the_right_etag_is_done(
    client: FlaskClient, tea_url: str, method: str, status: int, wanted: str
) -> None:
    response = client.open(tea_url, method=method, json=TEA, headers={"If-Match": wanted})

    assert response.status_code == status


def test_whoever_has_the_item_already_gets_a_304(client: FlaskClient, tea_url: str) -> None:
    same = client.get(tea_url, headers={"If-None-Match": '"v1"'})
    other = client.get(tea_url, headers={"If-None-Match": '"v2"'})

    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", '"v1"')
    assert other.status_code == 200


def test_a_write_that_others_keep_overtaking_is_a_409(
    app: Flask, client: FlaskClient, tea_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*_: Any) -> None:
        raise StaleItem

    monkeypatch.setattr(app.extensions["services"][ItemService], "update", overtaken)

    assert client.patch(tea_url, json={"quantity": 4}).status_code == 409


def test_the_same_idempotency_key_answers_as_the_first_time(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "a-key"}
    first = client.post(URL, json=TEA, headers=headers)

    second = client.post(URL, json=TEA, headers=headers)

    assert (second.status_code, second.json) == (201, first.json)
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]


def test_the_same_idempotency_key_with_another_body_is_a_422(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "a-key"}
    client.post(URL, json=TEA, headers=headers)

    response = client.post(URL, json=TEA | {"quantity": 4}, headers=headers)

    assert response.status_code == 422
    assert len(client.get(URL).json["items"]) == 1


@pytest.mark.parametrize("key", ["", "a b", "k" * 201, "ä"])
def test_an_idempotency_key_of_other_signs_or_too_long_is_a_422(
    client: FlaskClient, key: str
) -> None:
    response = client.post(URL, json=TEA, headers={"Idempotency-Key": key})

    assert response.status_code == 422
    assert client.get(URL).json["items"] == []


def test_pages_can_be_followed_to_the_end(client: FlaskClient) -> None:
    for number in range(5):
        client.post(URL, json={"name": str(number)})
    names, cursor = [], ""

    while cursor is not None:
        page = client.get(f"{URL}?limit=2" + (f"&cursor={cursor}" if cursor else "")).json
        names += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]

    assert names == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=-1", "page=2"])
def test_a_page_that_cannot_be_is_a_422(client: FlaskClient, query: str) -> None:
    assert client.get(f"{URL}?{query}").status_code == 422


@pytest.mark.parametrize("cursor", ["", "x", "c", "c-1", "c1%0A", "c" + "9" * 16, "Y3Vyc29y"])
def test_a_cursor_that_is_none_of_ours_is_a_422(client: FlaskClient, cursor: str) -> None:
    response = client.get(f"{URL}?cursor={cursor}")

    assert response.status_code == 422
    assert [error["location"] for error in response.json["errors"]] == ["query.cursor"]


def test_the_list_says_whether_it_came_from_the_cache(client: FlaskClient, tea_url: str) -> None:
    def look(**headers: str) -> str:
        return client.get(URL, headers=headers).headers["X-Cache"]

    before = [look(), look(), look(**{"Cache-Control": "no-cache"})]
    client.delete(tea_url)

    assert before == ["MISS", "HIT", "BYPASS"]
    assert look() == "MISS"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_writing_needs_a_token(make_client: Callable[..., FlaskClient], method: str) -> None:
    client = make_client(API_TOKENS=TOKEN)
    url = client.post(URL, json=TEA, headers=BEARER).headers["Location"]

    response = client.open(URL if method == "POST" else url, method=method, json=TEA)

    assert response.status_code == 401
    assert client.get(url).json["version"] == 1
    assert len(client.get(URL).json["items"]) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_with_redis_away_the_caller_is_told_to_come_back(
    make_client: Callable[..., FlaskClient], method: str
) -> None:
    response = make_client(REDIS_URL=nowhere()).open(URL, method=method, json=TEA)

    assert response.status_code == 503
