"""Health, liveness and readiness."""

from typing import Any

from flask import Blueprint, Response

from app.config import Settings
from app.http.openapi import ResponseModel, ResponseSpec, operation
from app.http.responses import json_response
from app.routes import service
from app.services.health import HealthService
from app.utils import request_context

blueprint = Blueprint("health", __name__, url_prefix="/health")


class HealthReport(ResponseModel):
    """The state of this instance and of what it depends on."""

    status: str
    version: str
    uptime_seconds: float
    checks: dict[str, dict[str, Any]]


class Probe(ResponseModel):
    status: str


@blueprint.get("")
@operation(
    "State of this instance",
    responses={
        200: ResponseSpec(HealthReport, "It serves: healthy, or degraded with something missing."),
        503: ResponseSpec(HealthReport, "It is unhealthy."),
    },
    tag="health",
)
def health() -> Response:
    """For people and dashboards. Probes of orchestrators use /health/live and /health/ready."""
    checker = service(HealthService)
    found = checker.check()
    report = {
        "status": found.status,
        "version": service(Settings).version,
        "uptime_seconds": round(checker.uptime_seconds(), 3),
        "checks": found.checks,
    }
    if found.status != "unhealthy":
        return json_response(report)
    request_context.blame("Unhealthy: redis is unavailable")
    return json_response(report, 503)


@blueprint.get("/live")
@operation(
    "Whether the process answers", responses={200: ResponseSpec(Probe, "It does.")}, tag="health"
)
def live() -> Response:
    """Never asks Redis: restarting this process would not repair Redis."""
    return json_response({"status": "alive"})


@blueprint.get("/ready")
@operation(
    "Whether requests should come here",
    responses={
        200: ResponseSpec(Probe, "They should."),
        503: ResponseSpec(Probe, "They should not."),
    },
    tag="health",
)
def ready() -> Response:
    """503 while draining or, with READINESS_REQUIRES_REDIS=true, while Redis is unavailable."""
    is_ready, reason = service(HealthService).ready()
    if is_ready:
        return json_response({"status": reason})
    request_context.blame(f"NotReady: {reason}")
    return json_response({"status": reason}, 503)
