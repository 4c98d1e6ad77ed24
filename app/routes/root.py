"""The page at `/`: the console for browsers, an index of links for other clients."""

import hashlib
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, current_app, render_template, request

from app.config import Settings
from app.http.responses import json_response
from app.routes import service
from app.services.health import HealthService

blueprint = Blueprint("root", __name__)

# The page loads everything from this host, and its scripts cannot write HTML.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

LINKS = {
    "health": "/health",
    "live": "/health/live",
    "ready": "/health/ready",
    "docs": "/docs",
    "openapi": "/openapi.json",
    "info": "/api/v1/info",
    "items": "/api/v1/items",
    "cache": "/api/v1/cache",
    "session": "/api/v1/session",
    "stats": "/api/v1/stats",
}


@blueprint.get("/")
def index() -> Response:
    """HTML if the caller prefers it, as browsers do; JSON otherwise."""
    settings = service(Settings)
    best = request.accept_mimetypes.best_match(["application/json", "text/html"])
    if best == "text/html":
        response = Response(_page(), headers={"Content-Security-Policy": PAGE_POLICY})
    else:
        response = json_response(
            {"name": settings.service_name, "version": settings.version, "links": LINKS}
        )
    response.vary.add("Accept")
    return response


def _page() -> str:
    """The current state, readable without scripts. The scripts keep it up to date."""
    settings, checker = service(Settings), service(HealthService)
    health = checker.check()
    is_ready, reason = checker.ready()
    tools = {
        "Grafana": settings.grafana_url,
        "Prometheus": settings.prometheus_url,
        "Alertmanager": settings.alertmanager_url,
    }
    of_request = {"trace": settings.trace_url, "log lines": settings.logs_url}
    return render_template(
        "index.html",
        settings=settings,
        health=health,
        checks=health.checks | {"readiness": {"status": reason if is_ready else "not ready"}},
        uptime=duration(checker.uptime_seconds()),
        tools={name: address for name, address in tools.items() if address},
        of_request={name: address for name, address in of_request.items() if address},
        tokens=current_app.extensions["auth"].configured,
        links=LINKS,
        assets=_fingerprint(),
    )


def duration(seconds: float) -> str:
    """The two largest units that are not zero, for example `3 h 12 min`."""
    left = int(seconds)
    parts: list[str] = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


@cache
def _fingerprint() -> str:
    """A hash of the console files; in their URLs, it lets browsers keep them until they change."""
    digest = hashlib.sha256()
    for file in sorted((Path(current_app.root_path) / "static" / "console").iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
