"""Health: what works, what does not, and whether traffic should come here."""

from dataclasses import dataclass
from typing import Any

from app.config import Settings
from app.utils import lifecycle
from app.utils.store import Store, StoreFull, StoreUnavailable


@dataclass(frozen=True, slots=True)
class Health:
    """The state of this instance."""

    status: str
    """`healthy`, `degraded` (it serves, but something is missing) or `unhealthy`."""
    checks: dict[str, dict[str, Any]]


class HealthService:
    """Answers the three questions that orchestrators and people ask."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._store = store
        self._needs_redis = settings.readiness_requires_redis

    def check(self) -> Health:
        """Look at everything this instance depends on; waits at most as long as a request may."""
        redis = self._check_redis()
        checks = {"redis": redis}
        if lifecycle.draining():
            checks["lifecycle"] = {"status": "draining"}
        if redis["status"] == "unhealthy" and self._needs_redis:
            return Health("unhealthy", checks)
        sound = redis["status"] != "unhealthy" and not lifecycle.draining()
        return Health("healthy" if sound else "degraded", checks)

    def ready(self) -> tuple[bool, str]:
        """Whether new requests should come here, and why (not)."""
        if lifecycle.draining():
            return False, "draining"
        if self._needs_redis and self._check_redis()["status"] == "unhealthy":
            return False, "redis is away"
        return True, "ready"

    def _check_redis(self) -> dict[str, Any]:
        try:
            latency = round(self._store.ping(), 3)
        except (StoreUnavailable, StoreFull):
            return {"status": "unhealthy", "latency_ms": None}
        return {"status": "embedded" if self._store.embedded else "healthy", "latency_ms": latency}
