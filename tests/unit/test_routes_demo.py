"""Demo endpoints and the fault switch."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.app_parts import BEARER, TOKEN

URL = "/api/v1/demo"
FAULTS = f"{URL}/faults"
QUIET = {
    "active": False, "error_rate": 0.0, "latency_ms": 0, "route": None, "remaining_seconds": 0.0,
}  # fmt: skip


@pytest.fixture
def guarded(make_client: Callable[..., FlaskClient]) -> FlaskClient:
    """A client of a service with tokens."""
    return make_client(API_TOKENS=TOKEN)


def test_echo_sends_back_what_arrived_and_no_header(client: FlaskClient) -> None:
    response = client.post(f"{URL}/echo?a=1", json=[1], headers={"X-Secret": "hidden"})

    assert response.json == {
        "method": "POST",
        "path": f"{URL}/echo",
        "query": {"a": "1"},
        "body": [1],
    }
    assert b"hidden" not in response.data


@pytest.mark.parametrize("code", [200, 201, 299, 303, 399])
def test_a_good_status_is_answered_as_asked(client: FlaskClient, code: int) -> None:
    response = client.get(f"{URL}/status/{code}")

    assert response.status_code == code
    assert response.json is not None and response.json["status"] == code


@pytest.mark.parametrize("code", [204, 205, 304])
def test_a_status_without_content_has_none(client: FlaskClient, code: int) -> None:
    response = client.get(f"{URL}/status/{code}")

    assert (response.status_code, response.data) == (code, b"")
    assert "Content-Type" not in response.headers


@pytest.mark.parametrize("code", [400, 418, 500, 503, 599])
def test_an_error_status_comes_as_a_problem(client: FlaskClient, code: int) -> None:
    response = client.get(f"{URL}/status/{code}")

    assert (response.status_code, response.content_type) == (code, "application/problem+json")


@pytest.mark.parametrize("code", ["199", "600", "x", "-200", "2e2"])
def test_an_impossible_status_is_a_422(client: FlaskClient, code: str) -> None:
    assert client.get(f"{URL}/status/{code}").status_code == 422


def test_delay_waits_as_long_as_asked(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("app.routes.demo.time.sleep", slept.append)

    response = client.get(f"{URL}/delay/2.5")

    assert response.json == {"seconds": 2.5}
    assert slept == [2.5]


@pytest.mark.parametrize("seconds", ["-1", "10.1", "nan", "inf", "x"])
def test_an_invalid_delay_is_a_422(client: FlaskClient, seconds: str) -> None:
    assert client.get(f"{URL}/delay/{seconds}").status_code == 422


def test_a_fault_can_be_set_seen_and_ended(guarded: FlaskClient) -> None:
    fault = {"error_rate": 1, "latency_ms": 0, "route": "/api/v1/info", "duration_seconds": 60}

    answer = guarded.post(FAULTS, json=fault, headers=BEARER)
    during = guarded.get("/api/v1/info").status_code
    shown = guarded.get(FAULTS).get_json()
    ended = guarded.delete(FAULTS, headers=BEARER).status_code

    assert (answer.status_code, during, ended) == (200, 500, 204)
    assert 0 < shown.pop("remaining_seconds") <= 60
    assert shown == {"active": True, "error_rate": 1.0, "latency_ms": 0, "route": "/api/v1/info"}
    assert guarded.get(FAULTS).json == QUIET
    assert guarded.get("/api/v1/info").status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        {"error_rate": 1.1},
        {"error_rate": -0.1},
        {"error_rate": "1"},
        {"latency_ms": 10_001},
        {"latency_ms": 0.5},
        {"duration_seconds": 0},
        {"duration_seconds": 901},
        {"route": "api"},
        {"route": "/ö"},
        {"route": "/" + "x" * 200},
        {"color": "red"},
    ],
)
def test_a_fault_out_of_bounds_is_a_422_and_sets_none(
    guarded: FlaskClient, fault: dict[str, Any]
) -> None:
    response = guarded.post(FAULTS, json=fault, headers=BEARER)

    assert response.status_code == 422
    assert guarded.get(FAULTS).json == QUIET


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_the_fault_switch_needs_a_token(guarded: FlaskClient, method: str) -> None:
    assert guarded.open(FAULTS, method=method, json={}).status_code == 401


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_without_any_token_the_fault_switch_is_a_403(client: FlaskClient, method: str) -> None:
    assert client.open(FAULTS, method=method, json={}, headers=BEARER).status_code == 403


def test_the_demo_can_be_left_out(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(DEMO_ENABLED="false")

    assert client.get(FAULTS).status_code == 404
    assert b"/api/v1/demo" not in client.get("/openapi.json").data
    assert b'id="fault"' not in client.get("/", headers={"Accept": "text/html"}).data
