"""Liveness, readiness and health: three questions, three answers."""

from typing import Any

from flask import Blueprint, Response

from app.routes.deps import reply, services
from app.utils import lifecycle
from app.utils.openapi import Reply, ReplyModel, operation

blueprint = Blueprint("health", __name__, url_prefix="/health")


class HealthReport(ReplyModel):
    """The state of this instance and of what it depends on."""

    status: str
    version: str
    uptime_seconds: float
    checks: dict[str, dict[str, Any]]


class Answer(ReplyModel):
    """A short answer to a probe."""

    status: str


@blueprint.get("")
@operation(
    "How this instance is",
    replies={
        200: Reply(HealthReport, "It serves: healthy, or degraded with something missing."),
        503: Reply(HealthReport, "It is unhealthy."),
    },
    tag="health",
)
def health() -> Response:
    """For people and dashboards; probes of orchestrators use /health/live and /health/ready."""
    known = services()
    found = known.health.check()
    report = {
        "status": found.status,
        "version": known.settings.version,
        "uptime_seconds": round(lifecycle.uptime_seconds(), 3),
        "checks": found.checks,
    }
    return reply(report, 503 if found.status == "unhealthy" else 200)


@blueprint.get("/live")
@operation("Whether the process answers", replies={200: Reply(Answer, "It does.")}, tag="health")
def live() -> Response:
    """Never looks at Redis: restarting this process would not bring Redis back."""
    return reply({"status": "alive"})


@blueprint.get("/ready")
@operation(
    "Whether requests should come here",
    replies={200: Reply(Answer, "They should."), 503: Reply(Answer, "They should not.")},
    tag="health",
)
def ready() -> Response:
    """503 while draining or, with READINESS_REQUIRES_REDIS=true, while Redis is away."""
    is_ready, why = services().health.ready()
    return reply({"status": why}, 200 if is_ready else 503)
