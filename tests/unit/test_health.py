"""Health: what depends on Redis, and what each answer means."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.factory import create_app
from app.redis_client.client import RedisClient
from app.services.health import HealthService
from tests.support.app_parts import make_settings, nowhere

NEEDS_REDIS = {"READINESS_REQUIRES_REDIS": "true"}


@pytest.fixture
def cut_off() -> FlaskClient:
    """A client of a service whose Redis is unavailable."""
    return create_app(make_settings(REDIS_URL=nowhere())).test_client()


@pytest.fixture
def lost() -> FlaskClient:
    """A client of a service whose Redis is unavailable and which requires it."""
    return create_app(make_settings(REDIS_URL=nowhere(), **NEEDS_REDIS)).test_client()


def test_it_is_healthy_when_redis_answers(client: FlaskClient) -> None:
    response = client.get("/health")

    body: dict[str, Any] = response.get_json()
    assert (response.status_code, body["status"]) == (200, "healthy")
    assert body["checks"]["redis"]["status"] == "embedded"
    assert body["checks"]["redis"]["latency_ms"] > 0
    assert body["uptime_seconds"] > 0
    assert body["version"]


def test_without_redis_it_is_degraded_and_still_serves(cut_off: FlaskClient) -> None:
    response = cut_off.get("/health")

    assert (response.status_code, response.get_json()["status"]) == (200, "degraded")
    assert response.get_json()["checks"]["redis"] == {"status": "unhealthy", "latency_ms": None}
    assert cut_off.get("/health/ready").status_code == 200


def test_without_a_required_redis_it_is_unhealthy(lost: FlaskClient) -> None:
    response = lost.get("/health")

    assert (response.status_code, response.get_json()["status"]) == (503, "unhealthy")


def test_without_a_required_redis_it_is_not_ready(lost: FlaskClient) -> None:
    response = lost.get("/health/ready")

    assert (response.status_code, response.json) == (503, {"status": "redis is unavailable"})


def test_it_is_ready_when_the_required_redis_answers(redis: RedisClient) -> None:
    assert HealthService(redis, True, lambda: False, lambda: 0.0).ready() == (True, "ready")


@pytest.mark.usefixtures("draining")
def test_while_draining_it_is_not_ready_and_degraded(
    client: FlaskClient,
) -> None:
    ready, report = client.get("/health/ready"), client.get("/health")

    assert (ready.status_code, ready.json) == (503, {"status": "draining"})
    assert (report.status_code, report.get_json()["status"]) == (200, "degraded")
    assert report.get_json()["checks"]["lifecycle"] == {"status": "draining"}


def test_the_process_is_alive_whatever_redis_does(lost: FlaskClient) -> None:
    response = lost.get("/health/live")

    assert (response.status_code, response.json) == (200, {"status": "alive"})


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_probes_are_not_cached(client: FlaskClient, path: str) -> None:
    assert client.get(path).headers["Cache-Control"] == "no-store"
