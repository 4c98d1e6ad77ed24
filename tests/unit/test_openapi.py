"""The decorator `operation`: it validates requests as it documents them."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any
from urllib.parse import quote

import pytest
from flask import Blueprint, Flask, Response
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import validate
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from app.factory import create_app
from app.http import json_codec
from app.http.openapi import Header, ResponseSpec, operation
from app.http.responses import json_response
from tests.support.app_parts import BEARER, TOKEN, make_settings

LIMIT = 2000
URL = "/things/a"


class ThingName(BaseModel):
    """The thing's name."""

    name: str = Field(pattern=r"^[a-z]+$", description="Which thing.")


class Thing(BaseModel):
    """A thing."""

    model_config = ConfigDict(extra="forbid", strict=True)

    size: Annotated[int, Field(ge=0), json_codec.WHOLE]


class Choice(BaseModel):
    """How often."""

    model_config = ConfigDict(extra="forbid")

    times: int = Field(default=1, ge=1, le=3)


def app_with_things() -> Flask:
    app = create_app(make_settings(API_TOKENS=TOKEN, MAX_CONTENT_LENGTH=str(LIMIT)))
    things = Blueprint("things", __name__, url_prefix="/things")

    @things.put("/<name>")
    @operation(
        "Put a thing",
        path=ThingName,
        query=Choice,
        body=Thing,
        headers=(Header("X-Kind", "What kind.", r"[a-z]{1,5}"),),
        responses={
            200: ResponseSpec(Thing, "The thing.", {"ETag": "Its version."}, example={"size": 1})
        },
        token=True,
        tag="things",
    )
    def put_thing(name: str, query: Choice, body: Thing) -> Response:
        """Any size."""
        return json_response({"name": name, "times": query.times, "size": body.size})

    app.register_blueprint(things)
    return app


@pytest.fixture
def app() -> Flask:
    return app_with_things()


@pytest.fixture
def put(client: FlaskClient) -> Any:
    """Sends a request that is right but for what the test says."""

    def send(url: str = URL, **changes: Any) -> Any:
        headers = BEARER | changes.pop("headers", {})
        body = {"json": {"size": 3}} if "data" not in changes else {}
        return client.put(url, **(body | changes), headers=headers)

    return send


def assert_refused(response: Any, location: str) -> None:
    assert response.status_code == 422
    assert [error["location"] for error in response.json["errors"]] == [location]


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
def test_an_undocumented_value_is_a_422(put: Any, url: str, body: Any, location: str) -> None:
    response = put(url, data=json.dumps(body), content_type="application/json")
    assert_refused(response, location)


@pytest.mark.parametrize("times", ["1_0", " 1", "1 ", "+1", "1.", "0x1", "\u0661"])
def test_a_number_in_a_query_is_written_as_in_json(put: Any, times: str) -> None:
    assert_refused(put(f"{URL}?times={quote(times)}"), "query.times")


@pytest.mark.parametrize(
    ("query", "header", "detail"),
    [
        ("?times=1&times=2", "big", "'times' more than once"),
        *[("", value, "X-Kind") for value in ("BIG", "toolong", "a b", "")],
    ],
)
def test_a_repeated_parameter_or_a_header_that_does_not_match_is_a_422(
    put: Any, query: str, header: str, detail: str
) -> None:
    response = put(URL + query, headers={"X-Kind": header})
    assert response.status_code == 422
    assert detail in response.json["detail"]


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b'{"size": 1}', "application/json; charset=utf-8", 200),
        (b'{"size": 1}', "application/a+json", 200),
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"size": NaN}', "application/json", 400),
    ],
)
def test_every_json_type_is_accepted(put: Any, data: bytes, kind: str, status: int) -> None:
    assert put(data=data, content_type=kind).status_code == status


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
def test_a_chunked_body_has_the_same_limit(put: Any, size: int, status: int) -> None:
    data = b'{"size": 1}'.ljust(size)

    response = put(
        data=data,
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )

    assert response.status_code == status


def test_without_a_token_nothing_is_validated(client: FlaskClient) -> None:
    response = client.put(URL, data=b"nonsense")
    assert response.status_code == 401


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(client.get("/openapi.json").data)
    return loaded


def test_an_endpoint_is_documented_as_it_is_declared(document: dict[str, Any]) -> None:
    validate(document)
    described = document["paths"]["/things/{name}"]["put"]

    assert document["openapi"].startswith("3.1")
    assert (described["summary"], described["description"]) == ("Put a thing", "Any size.")
    assert (described["security"], described["tags"]) == ([{"token": []}], ["things"])
    schema = {"$ref": "#/components/schemas/Thing"}
    assert described["requestBody"]["content"]["application/json"]["schema"] == schema
    reply_200 = described["responses"]["200"]
    assert reply_200["content"]["application/json"] == {"schema": schema, "example": {"size": 1}}
    assert set(reply_200["headers"]) == {"ETag"}
    assert set(described["responses"]["default"]["content"]) == {"application/problem+json"}
    parameters = {each["name"]: each for each in described["parameters"]}
    assert parameters["name"]["required"] and not parameters["times"]["required"]
    assert parameters["name"]["schema"]["pattern"] == "^[a-z]+$"
    assert parameters["times"]["schema"]["maximum"] == 3
    assert parameters["X-Kind"]["schema"]["pattern"] == "^[a-z]{1,5}$"
    # Without the decorator, an endpoint is left out.
    assert not {"/metrics", "/docs"} & set(document["paths"])
    # An optional member has no default.
    members = document["components"]["schemas"]["ItemChange"]["properties"].values()
    assert not [member for member in members if "default" in member]


def test_settings_decide_about_limits_and_tokens_in_the_document() -> None:
    text = create_app(make_settings(CACHE_TTL_MAX="500")).test_client().get("/openapi.json").data
    parameters = json.loads(text)["paths"]["/api/v1/cache/{key}"]["put"]["parameters"]
    (ttl,) = (each for each in parameters if each["name"] == "ttl")
    assert ttl["schema"]["maximum"] == 500
    assert b'"security' not in text


@pytest.mark.parametrize(
    ("value", "status"),
    [(2**64 - 1, 201), (-(2**63), 201), (1.5, 201), ({"a": [None, "x"]}, 201)]
    + [(2**64, 400), (-(2**63) - 1, 400), ([{"a": 2**64}], 400)],
)
def test_the_document_tells_which_integers_are_refused(value: Any, status: int) -> None:
    client = create_app(make_settings()).test_client()
    document = json.loads(client.get("/openapi.json").data)
    put = document["paths"]["/api/v1/cache/{key}"]["put"]["requestBody"]["content"]
    schema = put["application/json"]["schema"] | {"components": document["components"]}

    answer = client.put("/api/v1/cache/a", data=json.dumps(value), content_type="application/json")

    assert answer.status_code == status
    assert Draft202012Validator(schema).is_valid(value) == (status == 201)


def test_models_are_built_on_one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pydantic breaks off with an AttributeError, rarely, when two threads build one model."""
    inside, seen = Counter[str](), []

    def slowly(*args: Any, **kwargs: Any) -> Any:
        inside["now"] += 1
        seen.append(inside["now"])
        time.sleep(0.01)
        inside["now"] -= 1
        return models_json_schema(*args, **kwargs)

    monkeypatch.setattr("app.http.openapi_document.models_json_schema", slowly)
    client = app_with_things().test_client
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client().get("/openapi.json").status_code, range(4)))

    assert answers == [200] * 4
    assert set(seen) == {1}
