"""Ways to answer a request."""

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response

JSON = "application/json"
# For what is the same for everybody: nginx asks once a second, serves the last answer while it
# does, and for ten seconds when it gets none. Browsers keep nothing, because charts must move.
CACHEABLE = {
    "Cache-Control": "public, max-age=0, s-maxage=1, stale-while-revalidate=1, stale-if-error=10"
}


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return encoded_response(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE), status, headers)


def encoded_response(
    payload: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A response with a payload that is JSON already."""
    return Response(payload, status, headers, content_type=JSON)


def no_content(status: int = 204, headers: Mapping[str, str] | None = None) -> Response:
    response = Response(status=status, headers=dict(headers or {}))
    del response.headers["Content-Type"]
    return response
