"""Health, readiness and liveness, with and without Redis."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.redis_client.client import RedisClient
from app.services.health import HealthService
from tests.support.app_parts import nowhere


def test_it_is_healthy_when_redis_answers_and_no_probe_is_cached(client: FlaskClient) -> None:
    response = client.get("/health")

    body: dict[str, Any] = response.get_json()
    assert (response.status_code, body["status"]) == (200, "healthy")
    assert body["checks"]["redis"]["status"] == "embedded"
    assert body["checks"]["redis"]["latency_ms"] > 0
    assert body["uptime_seconds"] > 0 and body["version"]
    for path in ("/health", "/health/live", "/health/ready"):
        assert client.get(path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("required", "health", "ready"),
    [
        ("false", (200, "degraded"), (200, "ready")),
        ("true", (503, "unhealthy"), (503, "redis is unavailable")),
    ],
)
def test_without_redis_it_is_alive_and_serves_unless_redis_is_required(
    make_client: Callable[..., FlaskClient],
    required: str,
    health: tuple[int, str],
    ready: tuple[int, str],
) -> None:
    client = make_client(REDIS_URL=nowhere(), READINESS_REQUIRES_REDIS=required)
    for path, expected in (("", health), ("/ready", ready), ("/live", (200, "alive"))):
        answer = client.get(f"/health{path}")
        assert (answer.status_code, answer.get_json()["status"]) == expected
    checks = client.get("/health").get_json()["checks"]
    assert checks["redis"] == {"status": "unhealthy", "latency_ms": None}


def test_it_is_ready_when_the_required_redis_answers(redis: RedisClient) -> None:
    assert HealthService(redis, True, lambda: False, lambda: 0.0).ready() == (True, "ready")


@pytest.mark.usefixtures("draining")
def test_while_draining_it_is_not_ready_and_degraded(client: FlaskClient) -> None:
    ready, report = client.get("/health/ready"), client.get("/health")
    assert (ready.status_code, ready.json) == (503, {"status": "draining"})
    assert (report.status_code, report.get_json()["status"]) == (200, "degraded")
    assert report.get_json()["checks"]["lifecycle"] == {"status": "draining"}
