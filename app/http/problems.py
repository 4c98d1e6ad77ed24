"""Errors as RFC 9457 problem documents: raised anywhere, turned into responses here."""

import logging
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from app.redis_client.client import RedisFailure, RedisFull, RedisUnavailable
from app.utils import request_context

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
UNAVAILABLE = "The store behind this endpoint is unavailable. Try again in a moment."
BUG = "The service failed to answer. The log has more under the request ID."

log = logging.getLogger("app.error")

# Werkzeug's descriptions are meant for HTML pages; these tell the caller what to do.
_DETAILS = {
    404: "There is nothing at this path. /docs lists what exists.",
    405: "This path does not support this method. The Allow header lists those it does.",
    413: "The body is larger than this service accepts.",
    415: "Send the body as Content-Type: application/json.",
}


class Problem(Exception):
    """A response other than success.

    Args:
        status: the HTTP status.
        detail: one sentence for the caller: what is wrong, and what to do about it.
        errors: for a validation problem, one entry for each wrong value.
        headers: response headers that belong to the status, such as `Retry-After`.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.errors, self.headers = errors, headers or {}


def title(status: int) -> str:
    """The status's own phrase, as RFC 9457 wants for the type `about:blank`."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown Error"


def document(problem: Problem, path: str, request_id: str) -> bytes:
    """The problem as JSON; `path` is the request's."""
    members: dict[str, Any] = {
        "type": "about:blank",
        "title": title(problem.status),
        "status": problem.status,
        "detail": problem.detail,
        "instance": path,
        "request_id": request_id,
    }
    if problem.errors:
        members["errors"] = list(problem.errors)
    return orjson.dumps(members, option=orjson.OPT_APPEND_NEWLINE)


def register(app: Flask) -> None:
    """Answer every error of this application with a problem document."""
    app.register_error_handler(Exception, _answer)


def problem_for(error: Exception) -> Problem:
    """What to tell the caller about an error."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RedisUnavailable):
        detail = _maybe_stored() if error.maybe_stored else UNAVAILABLE
        return Problem(503, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    if isinstance(error, RedisFull):
        return Problem(507, "The store is full and accepts no writes; reads still work.")
    if isinstance(error, HTTPException) and error.code and error.code != 500:
        headers = {name: value for name, value in error.get_headers() if name == "Allow"}
        detail = _DETAILS.get(error.code) or error.description or title(error.code)
        return Problem(error.code, detail, headers=headers)
    return Problem(500, BUG)


def _maybe_stored() -> str:
    """What to do about a write without an answer: only a key makes its repetition safe."""
    if request.method != "POST":
        advice = "It may have been stored; read it before you repeat it."
    elif "Idempotency-Key" in request.headers:
        advice = "It may have been stored; repeat it with the same Idempotency-Key."
    else:
        advice = "It may have been stored; look for it before you repeat it (an Idempotency-Key"
        advice += " makes a repetition safe)."
    return f"The store behind this endpoint did not confirm the change in time. {advice}"


def cause(error: BaseException) -> str:
    """What has failed, for the log line of the request.

    The text of an error that is not ours may hold anything. Instead of it, this names the place.
    """
    kind = type(error).__name__
    if isinstance(error, (Problem, RedisFailure)):
        return f"{kind}: {error}"
    frames = [
        (frame.f_globals.get("__name__", ""), line)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    ours = [each for each in frames if each[0].startswith("app.")] or frames
    return f"{kind} in {ours[-1][0]}:{ours[-1][1]}" if ours else kind


def rewrite(response: Response, error: Exception) -> None:
    """Make `response` say what has failed instead of what it said."""
    problem = problem_for(error)
    if problem.status >= 500:
        request_context.blame(cause(error))
    path = request.path.encode("utf-8", "replace").decode()
    payload = document(problem, path, request_context.request_id())
    response.status_code = problem.status
    response.set_data(payload)
    response.content_type = CONTENT_TYPE
    for name in ("ETag", "Set-Cookie", "Cache-Control"):
        response.headers.pop(name, None)
    response.headers.update(problem.headers)


def _answer(error: Exception) -> Response:
    response = Response()
    rewrite(response, error)
    if response.status_code == 500 and not isinstance(error, Problem):
        log.error("Unhandled error on %s", request.path, exc_info=error)
    return response
