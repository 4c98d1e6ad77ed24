"""The decorator `operation` validates requests as it documents them."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.app_parts import BEARER
from tests.support.openapi_example import LIMIT, app_with_things

URL = "/things/a"


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


@pytest.mark.parametrize("times", ["1_0", " 1", "1 ", "+1", "1.", "0x1", "\u0661"])
def test_a_number_in_a_query_is_written_as_in_json(put: Any, times: str) -> None:
    response = put(f"{URL}?times={quote(times)}")

    assert response.status_code == 422
    assert locations(response) == ["query.times"]


def test_a_repeated_parameter_is_a_422(put: Any) -> None:
    response = put(f"{URL}?times=1&times=2")

    assert response.status_code == 422
    assert "'times' more than once" in response.json["detail"]


@pytest.mark.parametrize("value", ["BIG", "toolong", "a b", ""])
def test_a_header_that_does_not_match_is_a_422(put: Any, value: str) -> None:
    response = put(headers={"X-Kind": value})

    assert response.status_code == 422
    assert "X-Kind" in response.json["detail"]


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/a+json"])
def test_every_json_type_is_accepted(put: Any, content_type: str) -> None:
    assert put(data=b'{"size": 1}', content_type=content_type).status_code == 200


@pytest.mark.parametrize("data", [b"", b"{", b'{"size": NaN}'])
def test_invalid_json_is_a_400(put: Any, data: bytes) -> None:
    assert put(data=data, content_type="application/json").status_code == 400


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


def test_without_a_token_nothing_is_validated(client: FlaskClient) -> None:
    response = client.put(URL, data=b"nonsense")

    assert response.status_code == 401
