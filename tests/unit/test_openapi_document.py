"""What the OpenAPI document says of an endpoint is what was declared."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import validate
from pydantic.json_schema import models_json_schema

from app.factory import create_app
from tests.support.app_parts import make_settings
from tests.support.openapi_example import app_with_things


@pytest.fixture
def app() -> Flask:
    return app_with_things()


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(client.get("/openapi.json").data)
    return loaded


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


def test_an_optional_member_has_no_default_in_the_document(document: dict[str, Any]) -> None:
    members = document["components"]["schemas"]["ItemChange"]["properties"].values()

    assert not [member for member in members if "default" in member]


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (2**64 - 1, 201),
        (-(2**63), 201),
        (1.5, 201),
        ({"a": [None, "x"]}, 201),
        (2**64, 400),
        (-(2**63) - 1, 400),
        ([{"a": 2**64}], 400),
    ],
)
def test_the_document_tells_which_integers_are_refused(value: Any, status: int) -> None:
    client = create_app(make_settings()).test_client()
    document = json.loads(client.get("/openapi.json").data)
    put = document["paths"]["/api/v1/cache/{key}"]["put"]["requestBody"]["content"]
    schema = put["application/json"]["schema"] | {"components": document["components"]}

    answer = client.put("/api/v1/cache/a", data=json.dumps(value), content_type="application/json")

    assert answer.status_code == status
    assert Draft202012Validator(schema).is_valid(value) == (status == 201)


def test_without_tokens_the_document_asks_for_none() -> None:
    client = create_app(make_settings()).test_client()

    assert b'"security' not in client.get("/openapi.json").data


def test_an_endpoint_without_the_decorator_is_left_out(document: dict[str, Any]) -> None:
    assert "/metrics" not in document["paths"]
    assert "/docs" not in document["paths"]


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
