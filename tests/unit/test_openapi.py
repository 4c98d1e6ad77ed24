"""One decorator holds requests to what it documents, and documents what it holds them to."""

import json
from typing import Annotated, Any

import pytest
from flask import Blueprint, Flask, Response
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from pydantic import BaseModel, ConfigDict, Field

from app import create_app
from app.routes.deps import reply
from app.utils import jsonio
from app.utils.openapi import Header, Reply, operation
from tests.unit.conftest import BEARER, TOKEN, make_settings

URL = "/things/a"
LIMIT = 2000


class ThingName(BaseModel):
    """The thing's name."""

    name: str = Field(pattern=r"^[a-z]+$", description="Which thing.")


class Thing(BaseModel):
    """A thing."""

    model_config = ConfigDict(extra="forbid", strict=True)

    size: Annotated[int, Field(ge=0), jsonio.WHOLE]


class Choice(BaseModel):
    """How to put it."""

    model_config = ConfigDict(extra="forbid")

    times: int = Field(default=1, ge=1, le=3)


@pytest.fixture
def app() -> Flask:
    """The application with one endpoint more, and tokens."""
    app = create_app(make_settings(API_TOKENS=TOKEN, MAX_CONTENT_LENGTH=str(LIMIT)))
    things = Blueprint("things", __name__, url_prefix="/things")

    @things.put("/<name>")
    @operation(
        "Put a thing",
        path=ThingName,
        query=Choice,
        body=Thing,
        headers=(Header("X-Kind", "What kind.", r"[a-z]{1,5}"),),
        replies={200: Reply(Thing, "The thing.", {"ETag": "Its version."}, example={"size": 1})},
        token=True,
        tag="things",
    )
    def put_thing(name: str, query: Choice, body: Thing) -> Response:
        """Any size."""
        return reply({"name": name, "times": query.times, "size": body.size})

    app.register_blueprint(things)
    return app


@pytest.fixture
def put(client: FlaskClient) -> Any:
    """Sends a request that is right but for what the test says."""

    def send(url: str = URL, **changes: Any) -> Any:
        headers = BEARER | changes.pop("headers", {})
        body = {"json": {"size": 3}} if "data" not in changes else {}
        return client.put(url, **(body | changes), headers=headers)

    return send


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(client.get("/openapi.json").data)
    return loaded


def locations(response: Any) -> list[str]:
    return [error["location"] for error in response.json["errors"]]


def test_a_right_request_reaches_the_view_with_checked_arguments(put: Any) -> None:
    response = put(f"{URL}?times=2", json={"size": 3.0}, headers={"X-Kind": "big"})

    assert (response.status_code, response.json) == (200, {"name": "a", "times": 2, "size": 3})


@pytest.mark.parametrize(
    ("url", "body", "location"),
    [
        ("/things/A1", {"size": 1}, "path.name"),
        (f"{URL}?times=4", {"size": 1}, "query.times"),
        (f"{URL}?time=1", {"size": 1}, "query.time"),
        (URL, {"size": -1}, "body.size"),
        (URL, {"size": "1"}, "body.size"),
        (URL, {"size": 1.5}, "body.size"),
        (URL, {"size": True}, "body.size"),
        (URL, {}, "body.size"),
        (URL, {"size": 1, "color": "red"}, "body.color"),
        (URL, [], "body"),
        (URL, None, "body"),
    ],
)
def test_a_value_that_is_not_as_documented_is_a_422_that_says_where(
    put: Any, url: str, body: Any, location: str
) -> None:
    response = put(url, data=json.dumps(body), content_type="application/json")

    assert response.status_code == 422
    assert locations(response) == [location]


def test_a_query_that_says_a_thing_twice_is_a_422(put: Any) -> None:
    response = put(f"{URL}?times=1&times=2")

    assert response.status_code == 422
    assert "'times' more than once" in response.json["detail"]


@pytest.mark.parametrize("value", ["BIG", "toolong", "a b", ""])
def test_a_header_that_does_not_match_is_a_422(put: Any, value: str) -> None:
    response = put(headers={"X-Kind": value})

    assert response.status_code == 422
    assert "X-Kind" in response.json["detail"]


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_a_body_of_another_type_is_a_415(put: Any, content_type: str) -> None:
    response = put(data=b'{"size": 1}', content_type=content_type)

    assert response.status_code == 415


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/a+json"])
def test_every_kind_of_json_is_taken(put: Any, content_type: str) -> None:
    assert put(data=b'{"size": 1}', content_type=content_type).status_code == 200


def test_a_compressed_body_is_a_415(put: Any) -> None:
    assert put(headers={"Content-Encoding": "gzip"}).status_code == 415


def test_a_transfer_coding_that_nothing_here_undoes_is_a_501(put: Any) -> None:
    assert put(headers={"Transfer-Encoding": "gzip, chunked"}).status_code == 501


@pytest.mark.parametrize("data", [b"", b"{", b'{"size": NaN}'])
def test_a_body_that_is_no_json_is_a_400(put: Any, data: bytes) -> None:
    assert put(data=data, content_type="application/json").status_code == 400


def test_a_body_over_the_limit_is_a_413(put: Any) -> None:
    data = b'{"size": 1' + b" " * LIMIT + b"}"

    assert put(data=data, content_type="application/json").status_code == 413


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
def test_a_chunked_body_may_be_as_large_as_the_limit_and_no_larger(
    put: Any, size: int, status: int
) -> None:
    data = b'{"size": 1}'.ljust(size)

    response = put(
        data=data,
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )

    assert response.status_code == status


def test_a_body_that_ends_early_is_a_400_although_what_came_is_json(put: Any) -> None:
    response = put(
        data=b'{"size": 1}',
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": "100"},
    )

    assert response.status_code == 400
    assert "Content-Length" in response.json["detail"]


def test_whoever_has_no_token_learns_nothing_of_the_rules(client: FlaskClient) -> None:
    response = client.put(URL, data=b"nonsense")

    assert response.status_code == 401


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)

    assert document["openapi"].startswith("3.1")


def test_an_endpoint_is_documented_as_it_is_declared(document: dict[str, Any]) -> None:
    described = document["paths"]["/things/{name}"]["put"]

    assert (described["summary"], described["description"]) == ("Put a thing", "Any size.")
    assert described["security"] == [{"token": []}]
    assert described["tags"] == ["things"]
    schema = {"$ref": "#/components/schemas/Thing"}
    assert described["requestBody"]["content"]["application/json"]["schema"] == schema
    reply_200 = described["responses"]["200"]
    assert reply_200["content"]["application/json"] == {"schema": schema, "example": {"size": 1}}
    assert set(reply_200["headers"]) == {"ETag"}
    assert set(described["responses"]["default"]["content"]) == {"application/problem+json"}


def test_parameters_are_documented_with_their_limits(document: dict[str, Any]) -> None:
    parameters = {
        each["name"]: each for each in document["paths"]["/things/{name}"]["put"]["parameters"]
    }

    assert parameters["name"]["required"]
    assert parameters["name"]["schema"]["pattern"] == "^[a-z]+$"
    assert not parameters["times"]["required"]
    assert parameters["times"]["schema"]["maximum"] == 3
    assert parameters["X-Kind"]["schema"]["pattern"] == "^[a-z]{1,5}$"


def test_a_limit_that_is_a_setting_is_documented_as_it_is_set() -> None:
    client = create_app(make_settings(CACHE_TTL_MAX="500")).test_client()

    paths = json.loads(client.get("/openapi.json").data)["paths"]

    (ttl,) = [
        each for each in paths["/api/v1/cache/{key}"]["put"]["parameters"] if each["name"] == "ttl"
    ]
    assert ttl["schema"]["maximum"] == 500


def test_what_may_be_left_out_has_no_made_up_default(document: dict[str, Any]) -> None:
    members = document["components"]["schemas"]["ItemChange"]["properties"].values()

    assert not [member for member in members if "default" in member]


def test_without_tokens_the_document_asks_for_none() -> None:
    client = create_app(make_settings()).test_client()

    assert b'"security' not in client.get("/openapi.json").data


def test_an_endpoint_without_the_decorator_is_left_out(document: dict[str, Any]) -> None:
    assert "/metrics" not in document["paths"]
    assert "/docs" not in document["paths"]
