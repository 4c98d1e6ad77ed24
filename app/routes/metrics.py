"""The scrape. nginx does not pass it on: Prometheus scrapes each instance itself."""

import gzip

from flask import Blueprint, Response, current_app, request

from app.http.middleware import METRICS_PATH
from app.utils import metrics

blueprint = Blueprint("metrics", __name__)


@blueprint.get(METRICS_PATH, strict_slashes=True)  # so that there is one path to deny
def scrape() -> Response:
    """All workers of this instance as one, as Prometheus text or OpenMetrics."""
    collectors = current_app.extensions["collectors"]
    payload, content_type = metrics.exposition(request.headers.get("Accept", ""), collectors)
    response = Response(payload, content_type=content_type)
    if request.accept_encodings["gzip"]:  # thousands of series: a twentieth of the bytes
        response.set_data(gzip.compress(payload, compresslevel=1, mtime=0))
        response.content_encoding = "gzip"
    response.vary.add("Accept-Encoding")
    return response
