"""A decorator that documents an endpoint and validates its requests.

    @blueprint.put("/things/<name>")
    @operation("Store a thing", path=ThingName, body=Thing, responses={200: ResponseSpec(Thing)})
    def put_thing(name: str, body: Thing) -> Response: ...

The models are pydantic's. openapi_document.py makes the OpenAPI description from them.
"""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from itertools import islice
from typing import Any

from flask import current_app, request
from gunicorn.http.errors import ParseException
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from app.http import json_codec
from app.http.auth import TokenAuth
from app.http.large_bodies import LargeBodies
from app.http.problems import Problem

View = Callable[..., Any]

MAXIMUM_SETTING = "maximum-setting"
"""Member of a field's `json_schema_extra`: the setting that holds its largest value."""

MAX_ERRORS = 20
"""Errors that an answer lists at most, so that it stays smaller than a large request."""
MAX_NAME = 100
"""Characters of a member's name that it repeats."""

large_bodies = LargeBodies()

_ATTRIBUTE = "__operation__"
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


class ResponseModel(BaseModel, defer_build=True):
    """Base of models that only describe responses.

    They are built when the description is made, not at each start.
    """


@dataclass(frozen=True)
class ResponseSpec:
    """A response other than an error."""

    model: type[BaseModel] | None = None
    description: str = "Done."
    headers: Mapping[str, str] = field(default_factory=dict)
    """Name and meaning of headers it carries."""
    any_json: bool = False
    example: Any = None


@dataclass(frozen=True)
class Header:
    """A request header that the endpoint understands."""

    name: str
    description: str
    pattern: str | None = None


@dataclass(frozen=True)
class operation:  # pylint: disable=invalid-name,too-many-instance-attributes
    """Decorator: documents an endpoint, and validates its requests before the view gets them."""

    summary: str
    """One line."""
    _: KW_ONLY
    responses: Mapping[int | str, ResponseSpec]
    """What it answers on success, by status or range of them such as `2XX`."""
    path: type[BaseModel] | None = None
    """Model of the URL's variables; its fields reach the view as arguments."""
    query: type[BaseModel] | None = None
    """Model of the query; reaches the view as `query`."""
    body: type[BaseModel] | None = None
    """Model of the JSON body; reaches the view as `body`."""
    any_body: bool = False
    """The body is any JSON value; it reaches the view as `body`."""
    body_example: Any = None
    """An example of the body, where the model has none."""
    headers: tuple[Header, ...] = ()
    """Request headers that the endpoint understands."""
    token: bool = False
    """Whether the caller needs an API token (once any is configured)."""
    token_even_if_open: bool = False
    """Whether all callers are refused while no token is configured."""
    tag: str = "api"
    """The group that it is listed under."""

    @property
    def needs_token(self) -> bool:
        return self.token or self.token_even_if_open

    def __call__(self, view: View) -> View:
        inputs = self.path, self.query, self.body, self.any_body, self.headers
        if not (self.needs_token or any(inputs)):
            setattr(view, _ATTRIBUTE, self)
            return view

        @functools.wraps(view)
        def checked(**arguments: Any) -> Any:
            if self.needs_token:
                auth: TokenAuth = current_app.extensions["auth"]
                auth.require(request.headers.get("Authorization", ""), self.token_even_if_open)
            if not (self.body or self.any_body):
                return view(**_validated(self, arguments))
            announced = request.content_length
            size = request.max_content_length if announced is None else announced
            with large_bodies.admit(size or 0):
                return view(**_validated(self, arguments))

        setattr(checked, _ATTRIBUTE, self)
        return checked


def operation_of(view: View) -> operation | None:
    return getattr(view, _ATTRIBUTE, None)


def _validated(described: operation, arguments: dict[str, Any]) -> dict[str, Any]:
    for header in described.headers:
        if not header.pattern:
            continue
        value = request.headers.get(header.name)
        if value is not None and not re.fullmatch(header.pattern, value):
            raise Problem(422, f"The header {header.name} does not match {header.pattern}.")
    if described.path:
        _check_numbers(described.path, arguments, "path")
        checked = _check(described.path, arguments, "path")
        arguments = {name: getattr(checked, name) for name in described.path.model_fields}
    if described.query:
        repeated = [name for name, values in request.args.lists() if len(values) > 1]
        if repeated:
            raise Problem(422, f"The query gives {repeated[0]!r} more than once.")
        query = request.args.to_dict()
        _check_numbers(described.query, query, "query")
        arguments["query"] = _check(described.query, query, "query")
    if described.body or described.any_body:
        value = _read_json()
        arguments["body"] = _check(described.body, value, "body") if described.body else value
    return arguments


def _read_json() -> Any:
    if not request.is_json or "Content-Encoding" in request.headers:
        raise Problem(415, "Send the body as Content-Type: application/json, not compressed.")
    if request.headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
        raise Problem(501, "The only transfer coding this service understands is chunked.")
    return json_codec.loads(_read_body())


def _read_body() -> bytes:
    """The whole body: a part of it may be valid JSON too, and not what the caller meant."""
    announced, limit = request.content_length, request.max_content_length
    if announced is None and limit is not None:
        # Werkzeug silently cuts a chunked body off at the limit, so read one byte more.
        request.max_content_length = limit + 1
    try:
        body = request.get_data()
    except ParseException as error:
        raise Problem(400, f"The body is not valid chunked coding: {error}.") from error
    if limit is not None and len(body) > limit:
        raise RequestEntityTooLarge
    if announced is not None and len(body) < announced:
        raise Problem(400, "The body ended before its Content-Length.")
    return body


def _check(model: type[BaseModel], value: Any, place: str) -> Any:
    try:
        return model.model_validate(_without_excess(model, value))
    except ValidationError as error:
        errors = [
            {
                "location": ".".join([place, *(str(part)[:MAX_NAME] for part in one["loc"])]),
                "message": one["msg"],
                "type": one["type"],
            }
            for one in islice(
                error.errors(include_url=False, include_context=False, include_input=False),
                MAX_ERRORS,
            )
        ]
        raise Problem(422, f"The {place} is not as documented.", errors=errors) from error


def _check_numbers(model: type[BaseModel], texts: dict[str, str], place: str) -> None:
    """Numbers are written as in JSON. pydantic also reads 1_0, and spaces around a number."""
    for name in _numbers(model):
        if name in texts and not _NUMBER.fullmatch(texts[name]):
            error = {"location": f"{place}.{name}", "message": "Not a number", "type": "number"}
            raise Problem(422, f"The {place} is not as documented.", errors=[error])


@functools.cache
def _numbers(model: type[BaseModel]) -> tuple[str, ...]:
    fields = model.model_fields.items()
    return tuple(name for name, info in fields if info.annotation in (int, float))


def _without_excess(model: type[BaseModel], value: Any) -> Any:
    """An object with at most `MAX_ERRORS` unknown members: each would make an error of its own."""
    known = model.model_fields
    if not isinstance(value, dict) or len(value) <= len(known) + MAX_ERRORS:
        return value
    if model.model_config.get("extra") != "forbid":
        return value
    unknown = islice((name for name in value if name not in known), MAX_ERRORS)
    return {name: value[name] for name in (*(known.keys() & value.keys()), *unknown)}
