"""The API's description, and a page to try it on, whose parts all come from here."""

import orjson
from flask import Blueprint, Response, current_app, render_template

from app.routes.deps import CACHEABLE, raw_reply, services
from app.utils import openapi_document

blueprint = Blueprint("docs", __name__)

# Swagger UI sets styles from its scripts; scripts themselves come from this host alone.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)


@blueprint.get("/openapi.json")
def description() -> Response:
    """OpenAPI 3.1, generated from the code once per process."""
    extensions = current_app.extensions
    if "openapi" not in extensions:
        document = openapi_document.document(current_app, services().settings)
        extensions["openapi"] = orjson.dumps(document, option=orjson.OPT_INDENT_2)
    return raw_reply(extensions["openapi"], headers=CACHEABLE)


@blueprint.get("/docs")
def page() -> Response:
    """Swagger UI, served locally."""
    response = Response(render_template("docs.html", name=services().settings.service_name))
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response
