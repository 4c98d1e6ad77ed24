"""Health, readiness and liveness, with and without Redis."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.redis_client.client import RedisClient
from app.services.health import HealthService
from tests.support.app_parts import nowhere


def test_it_is_healthy_when_redis_answers(client: FlaskClient) -> None:
    response = client.get("/health")

    body: dict[str, Any] = response.get_json()
    assert (response.status_code, body["status"]) == (200, "healthy")
    assert body["checks"]["redis"]["status"] == "embedded"
    assert body["checks"]["redis"]["latency_ms"] > 0
    assert body["uptime_seconds"] > 0
    assert body["version"]


def test_without_redis_it_is_degraded_and_still_serves(
    make_client: Callable[..., FlaskClient],
) -> None:
    cut_off = make_client(REDIS_URL=nowhere())

    response = cut_off.get("/health")

    assert (response.status_code, response.get_json()["status"]) == (200, "degraded")
    assert response.get_json()["checks"]["redis"] == {"status": "unhealthy", "latency_ms": None}
    assert cut_off.get("/health/ready").status_code == 200


def test_without_a_required_redis_it_is_unhealthy_and_not_ready_but_alive(
    make_client: Callable[..., FlaskClient],
) -> None:
    client = make_client(REDIS_URL=nowhere(), READINESS_REQUIRES_REDIS="true")

    health, ready, live = (client.get(f"/health{path}") for path in ("", "/ready", "/live"))

    assert (health.status_code, health.get_json()["status"]) == (503, "unhealthy")
    assert (ready.status_code, ready.json) == (503, {"status": "redis is unavailable"})
    assert (live.status_code, live.json) == (200, {"status": "alive"})


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


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_probes_are_not_cached(client: FlaskClient, path: str) -> None:
    assert client.get(path).headers["Cache-Control"] == "no-store"
