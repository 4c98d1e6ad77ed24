"""What is running here."""

import platform

from flask import Blueprint, Response

from app.config import Settings
from app.http.openapi import ResponseModel, ResponseSpec, operation
from app.http.responses import json_response
from app.routes import service
from app.services.health import HealthService

blueprint = Blueprint("info", __name__, url_prefix="/api/v1/info")


class Info(ResponseModel):
    name: str
    version: str
    commit: str
    build_date: str
    environment: str
    instance: str
    python: str
    uptime_seconds: float


@blueprint.get("")
@operation("What is running here", responses={200: ResponseSpec(Info, "Name, version and place.")})
def info() -> Response:
    """Name, version, commit, environment, the instance that answered and its uptime."""
    settings = service(Settings)
    return json_response(
        {
            "name": settings.service_name,
            "version": settings.version,
            "commit": settings.commit,
            "build_date": settings.build_date,
            "environment": settings.environment,
            "instance": settings.instance,
            "python": platform.python_version(),
            "uptime_seconds": round(service(HealthService).uptime_seconds(), 3),
        }
    )
