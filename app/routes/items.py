"""Items over HTTP: the example resource."""

from collections.abc import Callable
from typing import Annotated, Any

from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field

from app.http import json_codec
from app.http.openapi import Header, ResponseModel, ResponseSpec, operation
from app.http.problems import Problem
from app.http.responses import json_response, no_content
from app.routes import service
from app.services.items import (
    CURSOR_PATTERN,
    IdempotencyMismatch,
    Item,
    ItemNotFound,
    ItemService,
    StaleItem,
)

blueprint = Blueprint("items", __name__, url_prefix="/api/v1/items")

Name = Annotated[str, Field(min_length=1, max_length=100, examples=["Tea"])]
Description = Annotated[str, Field(max_length=1000, examples=["Green, loose"])]
Quantity = Annotated[int, Field(ge=0, le=1_000_000_000, examples=[3]), json_codec.WHOLE]
Tags = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=50)]],
    Field(max_length=20, examples=[["kitchen"]]),
]

IF_MATCH = Header("If-Match", "Only if the item's ETag is one of these.")
ETAG = {"ETag": "The item's version, for If-Match."}


class NewItem(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name
    description: Description = ""
    quantity: Quantity = 0
    tags: Tags = []


class ItemChange(BaseModel):
    """What to change of an item. Members that are left out stay."""

    model_config = ConfigDict(extra="forbid", strict=True)

    # Factories: the documentation would show a plain default as the value of a member left out.
    name: Name = Field(default_factory=str)
    description: Description = Field(default_factory=str)
    quantity: Quantity = Field(default_factory=int)
    tags: Tags = Field(default_factory=list)


class StoredItem(NewItem, defer_build=True):
    """An item as it is stored."""

    id: str
    version: int
    created_at: str
    updated_at: str


class ItemPage(ResponseModel):
    """Items in the order of their creation."""

    items: list[StoredItem]
    next_cursor: str | None


class ItemId(BaseModel):
    item_id: str = Field(
        pattern=r"^[A-Za-z0-9-]{1,64}$", examples=["6f1c2a52-8a0e-4d53-9a3c-3f3a4f0c7e11"]
    )


class PageQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=20, ge=1, le=100, description="Items on a page.")
    cursor: str = Field(
        default_factory=str, pattern=CURSOR_PATTERN, description="next_cursor of the page before."
    )


@blueprint.get("")
@operation(
    "List items",
    query=PageQuery,
    headers=(Header("Cache-Control", "no-cache reads past the cache."),),
    responses={200: ResponseSpec(ItemPage, "A page.", {"X-Cache": "HIT, MISS or BYPASS."})},
)
def list_items(query: PageQuery) -> Response:
    """Pages are cached for a minute, or until the next write."""
    use_cache = not request.cache_control.no_cache
    page = service(ItemService).page(query.limit, query.cursor or None, use_cache)
    return json_response(page.value, headers={"X-Cache": page.result})


@blueprint.post("")
@operation(
    "Create an item",
    body=NewItem,
    headers=(
        Header("Idempotency-Key", "A repetition within a day creates nothing.", r"[!-~]{1,200}"),
    ),
    responses={
        201: ResponseSpec(
            StoredItem,
            "Created, now or by an earlier request with the same Idempotency-Key.",
            {**ETAG, "Location": "Where it is.", "Idempotency-Replayed": "true on a repetition."},
        )
    },
    token=True,
)
def create_item(body: NewItem) -> Response:
    """With Idempotency-Key, a repetition gets the first answer; another body gets 422."""
    key = request.headers.get("Idempotency-Key")
    # The scheme's name has no case (RFC 9110, section 11.1).
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    caller = f"{scheme.lower()} {credentials.strip()}"
    try:
        created = service(ItemService).create(body.model_dump(), key, caller)
    except IdempotencyMismatch as error:
        raise Problem(422, "This Idempotency-Key was used before with another body.") from error
    headers = {"Location": f"/api/v1/items/{created.item['id']}", **_etag(created.item)}
    if created.replayed:
        headers["Idempotency-Replayed"] = "true"
    return json_response(created.item, 201, headers)


@blueprint.get("/<item_id>")
@operation(
    "Read an item",
    path=ItemId,
    headers=(Header("If-None-Match", "Only if the item's ETag is none of these."),),
    responses={
        200: ResponseSpec(StoredItem, "The item.", ETAG),
        304: ResponseSpec(description="The caller has it already."),
    },
)
def read_item(item_id: str) -> Response:
    """404 when there is no such item."""
    item = _translate(lambda: service(ItemService).get(item_id))
    if request.if_none_match.contains_weak(_tag(item)):
        return no_content(304, _etag(item))
    return json_response(item, headers=_etag(item))


@blueprint.put("/<item_id>")
@operation(
    "Replace an item",
    path=ItemId,
    body=NewItem,
    headers=(IF_MATCH,),
    responses={200: ResponseSpec(StoredItem, "The new item.", ETAG)},
    token=True,
)
def replace_item(item_id: str, body: NewItem) -> Response:
    """412 when If-Match does not hold. Members that are left out get their defaults."""
    return _update(item_id, lambda item: body.model_dump())


@blueprint.patch("/<item_id>")
@operation(
    "Change an item",
    path=ItemId,
    body=ItemChange,
    headers=(IF_MATCH,),
    responses={200: ResponseSpec(StoredItem, "The new item.", ETAG)},
    token=True,
)
def change_item(item_id: str, body: ItemChange) -> Response:
    """412 when If-Match does not hold. Members that are left out stay."""
    return _update(item_id, lambda item: body.model_dump(exclude_unset=True))


@blueprint.delete("/<item_id>")
@operation(
    "Delete an item",
    path=ItemId,
    headers=(IF_MATCH,),
    responses={204: ResponseSpec(description="Deleted.")},
    token=True,
)
def delete_item(item_id: str) -> Response:
    """404 when there is no such item; 412 when If-Match does not hold."""
    _translate(lambda: service(ItemService).delete(item_id, _precondition()))
    return no_content()


def _update(item_id: str, change: Callable[[Item], dict[str, Any]]) -> Response:
    item = _translate(lambda: service(ItemService).update(item_id, change, _precondition()))
    return json_response(item, headers=_etag(item))


def _translate(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ItemNotFound as error:
        raise Problem(404, "There is no such item.") from error
    except StaleItem as error:
        if request.headers.get("If-Match"):
            raise Problem(412, "The item has changed; read it again.") from error
        raise Problem(409, "Others keep changing this item; try again.") from error


def _precondition() -> Callable[[Item], bool] | None:
    if not request.headers.get("If-Match"):  # an empty one counts as none: nginx drops it
        return None
    wanted = request.if_match
    return lambda item: wanted.contains(_tag(item))


def _tag(item: Item) -> str:
    return f"v{item['version']}"


def _etag(item: Item) -> dict[str, str]:
    return {"ETag": f'"{_tag(item)}"'}
