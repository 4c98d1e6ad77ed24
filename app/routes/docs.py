"""The OpenAPI description, and a page to try the API, whose assets are served locally."""

import orjson
from flask import Blueprint, Response, current_app, render_template

from app.config import Settings
from app.http import openapi_document
from app.http.responses import CACHEABLE, encoded_response
from app.routes import service

blueprint = Blueprint("docs", __name__)

# Swagger UI sets styles from its scripts. Scripts come from this host alone.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)


@blueprint.get("/openapi.json")
def description() -> Response:
    """OpenAPI 3.1, generated from the code once for each process."""
    extensions = current_app.extensions
    if "openapi" not in extensions:
        document = openapi_document.document(current_app, service(Settings))
        extensions["openapi"] = orjson.dumps(
            document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        )
    return encoded_response(extensions["openapi"], headers=CACHEABLE)


@blueprint.get("/docs")
def page() -> Response:
    html = render_template("docs.html", name=service(Settings).service_name)
    return Response(html, headers={"Content-Security-Policy": PAGE_POLICY})
