"""Demo endpoints and the fault switch: what faults hit, what is exempt, and when they end."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.redis_client.client import RedisClient
from app.services.faults import Fault, FaultService
from tests.support.app_parts import BEARER, TOKEN, Clock

URL = "/api/v1/demo"
FAULTS = f"{URL}/faults"
QUIET = {
    "active": False, "error_rate": 0.0, "latency_ms": 0, "route": None, "remaining_seconds": 0.0,
}  # fmt: skip


@pytest.fixture
def guarded(make_client: Callable[..., FlaskClient]) -> FlaskClient:
    return make_client(API_TOKENS=TOKEN)


def test_echo_sends_back_what_arrived_and_no_header(client: FlaskClient) -> None:
    response = client.post(f"{URL}/echo?a=1", json=[1], headers={"X-Secret": "hidden"})
    echoed = {"method": "POST", "path": f"{URL}/echo", "query": {"a": "1"}, "body": [1]}
    assert response.json == echoed
    assert b"hidden" not in response.data


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        ([200, 201, 299, 303, 399], "application/json"),
        ([204, 205, 304], None),
        ([400, 418, 500, 503, 599], "application/problem+json"),
    ],
)
def test_a_status_is_answered_as_asked_with_the_content_that_it_may_have(
    client: FlaskClient, codes: list[int], kind: str | None
) -> None:
    for code in codes:
        response = client.get(f"{URL}/status/{code}")
        assert (response.status_code, response.headers.get("Content-Type")) == (code, kind)
        assert json.loads(response.data)["status"] == code if kind else response.data == b""


@pytest.mark.parametrize(
    "path",
    [f"status/{code}" for code in ("199", "600", "x", "-200", "2e2")]
    + [f"delay/{seconds}" for seconds in ("-1", "10.1", "nan", "inf", "x")],
)
def test_an_impossible_status_or_delay_is_a_422(client: FlaskClient, path: str) -> None:
    assert client.get(f"{URL}/{path}").status_code == 422


def test_delay_waits_as_long_as_asked(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("app.routes.demo.time.sleep", slept.append)
    response = client.get(f"{URL}/delay/2.5")
    assert response.json == {"seconds": 2.5}
    assert slept == [2.5]


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
        *[{"error_rate": wrong} for wrong in (1.1, -0.1, "1")],
        *[{"latency_ms": wrong} for wrong in (10_001, 0.5)],
        *[{"duration_seconds": wrong} for wrong in (0, 901)],
        *[{"route": wrong} for wrong in ("api", "/ö", "/" + "x" * 200)],
        {"color": "red"},
    ],
)
def test_a_fault_out_of_bounds_is_a_422(guarded: FlaskClient, fault: dict[str, Any]) -> None:
    assert guarded.post(FAULTS, json=fault, headers=BEARER).status_code == 422
    assert guarded.get(FAULTS).json == QUIET


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_faults_need_a_token(guarded: FlaskClient, client: FlaskClient, method: str) -> None:
    assert guarded.open(FAULTS, method=method, json={}).status_code == 401
    assert client.open(FAULTS, method=method, json={}, headers=BEARER).status_code == 403


def test_the_demo_can_be_left_out(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(DEMO_ENABLED="false")
    assert client.get(FAULTS).status_code == 404
    assert b"/api/v1/demo" not in client.get("/openapi.json").data
    assert b'id="fault"' not in client.get("/", headers={"Accept": "text/html"}).data


ALWAYS = Fault(error_rate=1.0, latency_ms=0, route="/api/v1/*")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("app.services.faults.time.time", clock)
    return clock


@pytest.fixture
def faults(redis: RedisClient) -> FaultService:
    return FaultService(redis)


@pytest.mark.parametrize(
    ("route", "path", "fails"),
    [
        ("/api/v1/*", "/api/v1/items", True),
        ("/api/v1/*", "/docs", False),
        # Those needed to see and to end a fault are exempt.
        *[("/*", path, False) for path in ("/health", "/health/ready", "/metrics")],
        *[("/*", path, False) for path in ("/api/v1/demo/faults", "/static/index.css")],
    ],
)
def test_a_fault_hits_the_paths_that_its_pattern_matches_and_no_others(
    faults: FaultService, route: str, path: str, fails: bool
) -> None:
    faults.set(Fault(1.0, 0, route), 60)
    assert faults.should_fail(path) is fails


def test_the_error_rate_of_requests_fails(
    faults: FaultService, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults.set(Fault(0.3, 0, "/api/v1/*"), 60)
    dice = iter([0.29, 0.3, 0.99])
    monkeypatch.setattr("app.services.faults.random.random", lambda: next(dice))
    assert [faults.should_fail("/api/v1/items") for _ in range(3)] == [True, False, False]


def test_a_fault_may_only_add_latency(
    faults: FaultService, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("app.services.faults.time.sleep", slept.append)
    faults.set(Fault(0.0, 250, "/api/v1/*"), 60)
    assert not faults.should_fail("/api/v1/items")
    assert slept == [0.25]


def test_a_fault_ends_by_itself(faults: FaultService, clock: Clock) -> None:
    faults.set(ALWAYS, 60)
    clock.now += 59.9
    assert faults.should_fail("/api/v1/items")
    clock.now += 0.1
    assert not faults.should_fail("/api/v1/items")


def test_other_workers_follow_at_their_refresh(faults: FaultService, redis: RedisClient) -> None:
    other = FaultService(redis)
    faults.set(ALWAYS, 60)

    assert not other.should_fail("/api/v1/items")
    other.refresh()
    assert other.should_fail("/api/v1/items")
    faults.clear()
    other.refresh()
    assert not other.should_fail("/api/v1/items")
