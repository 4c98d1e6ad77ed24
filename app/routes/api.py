"""What is running here."""

import platform

from flask import Blueprint, Response

from app.routes.deps import reply, services
from app.utils import lifecycle
from app.utils.openapi import Reply, ReplyModel, operation

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


class Info(ReplyModel):
    """What is running here."""

    name: str
    version: str
    commit: str
    build_date: str
    environment: str
    instance: str
    python: str
    uptime_seconds: float


@blueprint.get("/info")
@operation("What is running here", replies={200: Reply(Info, "Name, version and where.")})
def info() -> Response:
    """Name, version, commit, environment, the instance that answered and its uptime."""
    settings = services().settings
    return reply(
        {
            "name": settings.service_name,
            "version": settings.version,
            "commit": settings.commit,
            "build_date": settings.build_date,
            "environment": settings.environment,
            "instance": settings.instance,
            "python": platform.python_version(),
            "uptime_seconds": round(lifecycle.uptime_seconds(), 3),
        }
    )
