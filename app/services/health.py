"""Health: what works, what does not, and whether traffic should come here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.redis_client.client import RedisClient, RedisFailure


@dataclass(frozen=True, slots=True)
class Health:
    status: str
    """`healthy`, `degraded` (it serves, but something is missing) or `unhealthy`."""
    checks: dict[str, dict[str, Any]]


class HealthService:
    """Answers what orchestrators and people ask.

    Args:
        redis: what this instance depends on.
        needs_redis: whether an instance without Redis is not ready.
        draining: whether the instance is about to stop.
        uptime_seconds: time since the service (not this worker) started.
    """

    def __init__(
        self,
        redis: RedisClient,
        needs_redis: bool,
        draining: Callable[[], bool],
        uptime_seconds: Callable[[], float],
    ) -> None:
        self.uptime_seconds = uptime_seconds
        self._redis = redis
        self._needs_redis = needs_redis
        self._draining = draining

    def check(self) -> Health:
        """Check everything this instance depends on, within the time budget of a request."""
        redis = self._check_redis()
        checks = {"redis": redis}
        if self._draining():
            checks["lifecycle"] = {"status": "draining"}
        if redis["status"] == "unhealthy" and self._needs_redis:
            return Health("unhealthy", checks)
        healthy = redis["status"] in ("healthy", "embedded") and not self._draining()
        return Health("healthy" if healthy else "degraded", checks)

    def ready(self) -> tuple[bool, str]:
        """Whether new requests should come here, and the reason."""
        if self._draining():
            return False, "draining"
        if self._needs_redis and self._check_redis()["status"] == "unhealthy":
            return False, "redis is unavailable"
        return True, "ready"

    def _check_redis(self) -> dict[str, Any]:
        try:
            latency = round(self._redis.ping(), 3)
        except RedisFailure:
            return {"status": "unhealthy", "latency_ms": None}
        if refusal := self._redis.trouble.refusal:
            return {"status": "degraded", "latency_ms": latency, "refuses": refusal}
        return {"status": "embedded" if self._redis.embedded else "healthy", "latency_ms": latency}
