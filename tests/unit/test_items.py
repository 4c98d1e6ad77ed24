"""Items: created once, changed by one writer at a time, listed in order."""

from collections.abc import Callable
from typing import Any

import pytest

from app.redis_client.client import RedisClient
from app.services.cache_service import CacheService
from app.services.items import (
    BadCursor,
    IdempotencyMismatch,
    Item,
    ItemNotFound,
    ItemService,
    StaleItem,
)

TEA = {"name": "Tea", "quantity": 3}


@pytest.fixture
def items(redis: RedisClient, cache: CacheService) -> ItemService:
    return ItemService(redis, cache)


def names(page: dict[str, Any]) -> list[str]:
    return [item["name"] for item in page["items"]]


def fill(items: ItemService, count: int) -> None:
    for number in range(count):
        items.create({"name": str(number)})


def test_a_new_item_has_an_id_a_version_and_its_times(items: ItemService) -> None:
    item = items.create(TEA).item

    assert items.get(item["id"]) == item
    assert item["version"] == 1
    assert item["created_at"] == item["updated_at"]
    assert item["created_at"].endswith("Z")


def test_an_item_that_is_not_there_is_not_found(items: ItemService) -> None:
    for call in (
        lambda: items.get("no-such"),
        lambda: items.update("no-such", lambda item: {}),
        lambda: items.delete("no-such"),
    ):
        with pytest.raises(ItemNotFound):
            call()


def test_a_change_raises_the_version_and_keeps_the_rest(items: ItemService) -> None:
    item = items.create(TEA).item

    changed = items.update(item["id"], lambda item: {"quantity": 4})

    assert changed == items.get(item["id"])
    assert (changed["name"], changed["quantity"], changed["version"]) == ("Tea", 4, 2)
    assert changed["created_at"] == item["created_at"]


def test_a_deleted_item_is_gone_from_the_list_too(items: ItemService) -> None:
    item = items.create(TEA).item

    items.delete(item["id"])

    assert items.page(10, None).value == {"items": [], "next_cursor": None}
    with pytest.raises(ItemNotFound):
        items.get(item["id"])


def test_a_writer_who_has_seen_another_version_changes_nothing(items: ItemService) -> None:
    item = items.create(TEA).item

    with pytest.raises(StaleItem):
        items.update(item["id"], lambda item: {"quantity": 4}, lambda item: item["version"] == 7)
    with pytest.raises(StaleItem):
        items.delete(item["id"], lambda item: item["version"] == 7)

    assert items.get(item["id"]) == item


def test_a_change_that_another_writer_overtook_is_made_again_on_the_new_state(
    items: ItemService,
) -> None:
    item = items.create(TEA).item

    def change(seen: Item) -> dict[str, Any]:
        if seen["name"] == "Tea":
            items.update(item["id"], lambda _: {"name": "Coffee"})
        return {"quantity": seen["quantity"] + 1}

    changed = items.update(item["id"], change)

    assert (changed["name"], changed["quantity"], changed["version"]) == ("Coffee", 4, 3)


@pytest.mark.parametrize("write", ["update", "delete"])
def test_a_writer_who_is_overtaken_again_and_again_gives_up(items: ItemService, write: str) -> None:
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


def test_the_same_idempotency_key_creates_once(items: ItemService) -> None:
    first = items.create(TEA, "key", "caller")
    second = items.create(TEA, "key", "caller")

    assert (first.replayed, second.replayed) == (False, True)
    assert first.item == second.item
    assert len(items.page(10, None).value["items"]) == 1


def test_a_replay_answers_as_the_first_time_even_after_a_change(items: ItemService) -> None:
    first = items.create(TEA, "key").item
    items.update(first["id"], lambda item: {"quantity": 9})

    assert items.create(TEA, "key").item == first


def test_the_same_idempotency_key_with_another_body_creates_nothing(items: ItemService) -> None:
    items.create(TEA, "key")

    with pytest.raises(IdempotencyMismatch):
        items.create({"name": "Coffee"}, "key")

    assert names(items.page(10, None).value) == ["Tea"]


def test_one_callers_idempotency_key_is_not_anothers(items: ItemService) -> None:
    first = items.create(TEA, "key", "one").item
    second = items.create(TEA, "key", "two").item

    assert first["id"] != second["id"]


def test_without_a_key_every_creation_counts(items: ItemService) -> None:
    items.create(TEA)
    items.create(TEA)

    assert len(items.page(10, None).value["items"]) == 2


def test_pages_follow_the_order_of_creation_and_end(items: ItemService) -> None:
    fill(items, 5)

    first = items.page(2, None).value
    second = items.page(2, first["next_cursor"]).value
    third = items.page(2, second["next_cursor"]).value

    assert [names(page) for page in (first, second, third)] == [["0", "1"], ["2", "3"], ["4"]]
    assert third["next_cursor"] is None


def test_a_full_last_page_has_no_next_one(items: ItemService) -> None:
    fill(items, 2)

    assert items.page(2, None).value["next_cursor"] is None


def test_a_page_goes_on_where_it_was_although_what_it_ended_with_is_gone(
    items: ItemService,
) -> None:
    fill(items, 3)
    first = items.page(2, None).value
    items.delete(first["items"][1]["id"])

    assert names(items.page(2, first["next_cursor"]).value) == ["2"]


@pytest.mark.parametrize(
    "cursor", ["", "c", "1", "c-1", "c1.5", "c1\n", "c" + "1" * 16, "cé", "c١"]
)
def test_a_cursor_of_anybody_else_is_refused(items: ItemService, cursor: str) -> None:
    with pytest.raises(BadCursor):
        items.page(10, cursor)


def test_a_page_comes_from_the_cache_until_the_next_write(items: ItemService) -> None:
    item_id = items.create(TEA).item["id"]
    results = []

    def look() -> None:
        page = items.page(10, None)
        results.append((page.result, [item["quantity"] for item in page.value["items"]]))

    look()
    look()
    items.update(item_id, lambda item: {"quantity": 4})
    look()
    items.delete(item_id)
    look()

    assert results == [("MISS", [3]), ("HIT", [3]), ("MISS", [4]), ("MISS", [])]


def test_a_page_can_be_read_past_the_cache(items: ItemService) -> None:
    items.create(TEA)
    items.page(10, None)

    assert items.page(10, None, use_cache=False).result == "BYPASS"


def test_an_item_deleted_while_the_page_is_read_is_left_out(
    items: ItemService, redis: RedisClient
) -> None:
    fill(items, 2)
    first = items.page(10, None).value["items"][0]
    redis.write(("DEL", redis.key("item", first["id"])))

    assert names(items.page(10, None, use_cache=False).value) == ["1"]
