"""Items: over HTTP, and what concurrent writers do to each other in the service."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.redis_client.client import RedisClient
from app.services.cache_service import CacheService
from app.services.items import Item, ItemService, StaleItem

URL = "/api/v1/items"
TEA = {"name": "Tea", "description": "Green", "quantity": 3, "tags": ["kitchen"]}


@pytest.fixture
def tea(client: FlaskClient) -> Any:
    return client.post(URL, json=TEA)


@pytest.fixture
def tea_url(tea: Any) -> str:
    return str(tea.headers["Location"])


def test_a_created_item_has_a_location_and_a_version(client: FlaskClient, tea: Any) -> None:
    assert tea.status_code == 201
    assert tea.headers["ETag"] == '"v1"'
    assert tea.json == TEA | {
        name: tea.json[name] for name in ("id", "version", "created_at", "updated_at")
    }
    assert client.get(tea.headers["Location"]).json == tea.json


@pytest.mark.parametrize(
    ("change", "location"),
    [
        *[({"name": wrong}, "body.name") for wrong in ("", "x" * 101, 5)],
        *[({"quantity": wrong}, "body.quantity") for wrong in (-1, 1_000_000_001, "3", True)],
        *[({"tags": wrong}, "body.tags") for wrong in (["a"] * 21, "kitchen")],
        ({"tags": ["ok", ""]}, "body.tags.1"),
        ({"color": "green"}, "body.color"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_wrong_member_is_a_422_that_names_it_and_changes_nothing(
    client: FlaskClient, tea: Any, method: str, change: dict[str, Any], location: str
) -> None:
    url = URL if method == "POST" else tea.headers["Location"]
    response = client.open(url, method=method, json=TEA | change)
    assert response.status_code == 422
    assert [error["location"] for error in response.get_json()["errors"]] == [location]
    assert client.get(URL).get_json()["items"] == [tea.get_json()]


def test_put_replaces_patch_changes_and_delete_deletes(client: FlaskClient, tea_url: str) -> None:
    patched = client.patch(tea_url, json={"quantity": 4.0})
    put = client.put(tea_url, json={"name": "Coffee"})
    deleted = client.delete(tea_url)

    changed = {"version": 2, "quantity": 4, "name": "Tea", "tags": ["kitchen"]}
    assert (patched.status_code, patched.headers["ETag"]) == (200, '"v2"')
    assert changed.items() <= patched.get_json().items()
    replaced = {"version": 3, "quantity": 0, "name": "Coffee", "tags": []}
    assert (put.status_code, put.headers["ETag"]) == (200, '"v3"')
    assert replaced.items() <= put.get_json().items()
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert client.get(tea_url).status_code == 404
    assert client.get(URL).json == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_an_item_that_is_not_there_is_a_404(client: FlaskClient, method: str) -> None:
    assert client.open(f"{URL}/no-such", method=method, json=TEA).status_code == 404


def test_an_answer_about_many_errors_is_short(client: FlaskClient) -> None:
    many = {f"{number}{'x' * 500}": 1 for number in range(1_500)}
    response = client.post(URL, json={"quantity": -1, "tags": [1] * 9_000, **many})
    locations = {error["location"] for error in response.get_json()["errors"]}
    assert {"body.name", "body.quantity", "body.tags"} <= locations
    assert (response.status_code, len(response.data) < 10_000) == (422, True)


@pytest.mark.parametrize(
    ("wanted", "done"),
    [
        *[(good, True) for good in ('"v1"', '"v0", "v1"', 'W/"v0", "v1"', '"v1", W/"v0"', "*", "")],
        *[(stale, False) for stale in ('"v0"', 'W/"v1"', '""', "v2")],
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_write_is_done_with_the_right_etag_only(
    client: FlaskClient, tea: Any, method: str, wanted: str, done: bool
) -> None:
    url, headers = tea.headers["Location"], {"If-Match": wanted}
    response = client.open(url, method=method, json=TEA | {"name": "Late"}, headers=headers)
    assert response.status_code == ((204 if method == "DELETE" else 200) if done else 412)
    assert done or client.get(url).json == tea.json


def test_a_matching_etag_is_answered_with_a_304(client: FlaskClient, tea_url: str) -> None:
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
    client.patch(first.headers["Location"], json={"quantity": 9})

    second = client.post(URL, json=TEA, headers=headers)
    other = client.post(URL, json=TEA | {"quantity": 4}, headers=headers)

    assert (second.status_code, second.json) == (201, first.json)
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]
    assert other.status_code == 422
    assert len(client.get(URL).get_json()["items"]) == 1


def test_idempotency_keys_belong_to_a_caller_in_any_spelling(client: FlaskClient) -> None:
    for authorization in ("bearer one", "Bearer one", "BEARER one", "Bearer two"):
        headers = {"Idempotency-Key": "a-key", "Authorization": authorization}
        client.post(URL, json=TEA, headers=headers)
    assert len(client.get(URL).get_json()["items"]) == 2


def test_pages_can_be_followed_to_the_end(client: FlaskClient) -> None:
    for number in range(5):
        client.post(URL, json={"name": str(number)})
    pages = [client.get(f"{URL}?limit=2").get_json()]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(client.get(f"{URL}?limit=2&cursor={cursor}").get_json())
    assert [names(page) for page in pages] == [["0", "1"], ["2", "3"], ["4"]]


@pytest.mark.parametrize(
    "path",
    ["/a b", f"/{'x' * 65}", "/ä", "/a.b", "/*"]
    + ["?limit=0", "?limit=101", "?limit=x", "?limit=-1", "?page=2"],
)
def test_a_malformed_id_or_page_is_a_422(client: FlaskClient, path: str) -> None:
    assert client.get(URL + path).status_code == 422


@pytest.mark.parametrize(
    "cursor", ["", "x", "c", "c-1", "c1.5", "c1%0A", "c" + "9" * 16, "c%D9%A1", "Y3Vyc29y"]
)
def test_a_cursor_that_the_service_did_not_make_is_a_422(client: FlaskClient, cursor: str) -> None:
    response = client.get(f"{URL}?cursor={cursor}")
    assert response.status_code == 422
    assert [error["location"] for error in response.get_json()["errors"]] == ["query.cursor"]


def test_the_list_is_cached_until_the_next_write(client: FlaskClient, tea_url: str) -> None:
    def look(**headers: str) -> tuple[str, list[int]]:
        response = client.get(URL, headers=headers)
        found = response.get_json()["items"]
        return response.headers["X-Cache"], [one["quantity"] for one in found]

    assert [look(), look()] == [("MISS", [3]), ("HIT", [3])]
    assert look(**{"Cache-Control": "no-cache"}) == ("BYPASS", [3])
    client.patch(tea_url, json={"quantity": 4})
    assert look() == ("MISS", [4])
    client.delete(tea_url)
    assert look() == ("MISS", [])


@pytest.fixture
def items(redis: RedisClient, cache: CacheService) -> ItemService:
    return ItemService(redis, cache)


def names(page: dict[str, Any]) -> list[str]:
    return [item["name"] for item in page["items"]]


def fill(items: ItemService, count: int) -> None:
    for number in range(count):
        items.create({"name": str(number)})


def test_an_overtaken_change_is_made_again_on_the_new_state(items: ItemService) -> None:
    item = items.create(TEA).item

    def change(seen: Item) -> dict[str, Any]:
        if seen["name"] == "Tea":
            items.update(item["id"], lambda _: {"name": "Coffee"})
        return {"quantity": seen["quantity"] + 1}

    changed = items.update(item["id"], change)

    assert (changed["name"], changed["quantity"], changed["version"]) == ("Coffee", 4, 3)


@pytest.mark.parametrize("write", ["update", "delete"])
def test_a_writer_who_is_overtaken_repeatedly_gives_up(items: ItemService, write: str) -> None:
    item_id = items.create(TEA).item["id"]

    def overtake(seen: Item) -> bool:
        items.update(item_id, lambda _: {"quantity": seen["quantity"] + 1})
        return True

    calls: dict[str, Callable[[], Any]] = {
        "update": lambda: items.update(item_id, lambda _: {"name": "Late"}, overtake),
        "delete": lambda: items.delete(item_id, overtake),
    }
    with pytest.raises(StaleItem):
        calls[write]()

    assert items.get(item_id)["name"] == "Tea"


def test_the_next_page_is_right_although_the_last_item_is_deleted(items: ItemService) -> None:
    fill(items, 3)
    first = items.page(2, None).value
    items.delete(first["items"][1]["id"])
    last = items.page(2, first["next_cursor"]).value
    assert (names(last), last["next_cursor"]) == (["2"], None)
    assert items.page(2, None).value["next_cursor"] is None  # a full last page


def test_an_item_deleted_meanwhile_is_left_out(items: ItemService, redis: RedisClient) -> None:
    fill(items, 2)
    first = items.page(10, None).value["items"][0]
    redis.write(("DEL", redis.key("item", first["id"])))
    assert names(items.page(10, None, use_cache=False).value) == ["1"]
