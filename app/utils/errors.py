"""Turns every exception into a problem document, on every route, in one place."""

import logging

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, InternalServerError

from app.utils import problems, request_context
from app.utils.problems import Problem
from app.utils.store import StoreFull, StoreUnavailable

RETRY_AFTER_SECONDS = 2

log = logging.getLogger("app.error")

# What werkzeug says is meant for HTML pages; these say what the caller can do.
_DETAILS = {
    404: "There is nothing at this path; /docs lists what there is.",
    405: "This path does not answer this method; the Allow header says which it does.",
    413: "The body is larger than this service accepts.",
    415: "Send the body as Content-Type: application/json.",
}


def register(app: Flask) -> None:
    """Answer errors of this application with problem documents."""
    app.register_error_handler(Exception, _answer)


def problem_for(error: Exception) -> Problem:
    """What to tell the caller about an error."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, StoreUnavailable):
        return Problem(
            503,
            "The store behind this endpoint is away. Nothing is known to be lost; try again.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    if isinstance(error, StoreFull):
        return Problem(507, "The store is full and accepts no writes; reads still work.")
    if (
        isinstance(error, HTTPException)
        and error.code
        and not isinstance(error, InternalServerError)
    ):
        headers = {name: value for name, value in error.get_headers() if name == "Allow"}
        detail = _DETAILS.get(error.code) or str(error.description or problems.title(error.code))
        return Problem(error.code, detail, headers=headers)
    return Problem(500, "The service failed to answer; the log tells more under the request ID.")


def rewrite(response: Response, problem: Problem) -> None:
    """Make `response` say `problem` instead of what it said."""
    path = request.path.encode("utf-8", "replace").decode()
    body = problems.body(problem, instance=path, request_id=request_context.request_id())
    response.status_code = problem.status
    response.set_data(body)
    response.content_type = problems.CONTENT_TYPE
    for name in ("ETag", "Set-Cookie", "Cache-Control"):
        response.headers.pop(name, None)
    response.headers.update(problem.headers)


def _answer(error: Exception) -> Response:
    problem = problem_for(error)
    if problem.status == 500 and not isinstance(error, Problem):
        log.error("Unhandled error on %s", request.path, exc_info=error)
    response = Response()
    rewrite(response, problem)
    return response
