"""Errors as RFC 9457 problem details, raised anywhere and shaped in one place."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson

CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """An answer other than success.

    Args:
        status: the HTTP status.
        detail: one sentence for the caller: what is wrong, and what to do about it.
        errors: for a validation problem, one entry per wrong value.
        headers: response headers that belong to the status, such as `Retry-After`.
        **extra: further members of the problem object.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.extra = extra


def title(status: int) -> str:
    """The status's own words, as RFC 9457 wants for the type `about:blank`."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown Error"


def body(problem: Problem, *, instance: str, request_id: str) -> bytes:
    """The problem as JSON.

    Args:
        problem: what went wrong.
        instance: path of the request, RFC 9457's `instance`.
        request_id: the ID under which the logs tell more.
    """
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": title(problem.status),
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance,
        "request_id": request_id,
        **problem.extra,
    }
    if problem.errors:
        document["errors"] = list(problem.errors)
    return orjson.dumps(document)
