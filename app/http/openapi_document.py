"""The OpenAPI 3.1 description of the service, made from the `operation` decorator of each view.

Schemas are JSON Schema as pydantic writes it. Errors are described once, as the default response.
"""

import inspect
import re
import threading
from collections.abc import Iterator
from typing import Any

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from app.config import Settings
from app.http import json_codec, problems
from app.http.openapi import (
    MAXIMUM_SETTING,
    ResponseModel,
    ResponseSpec,
    View,
    operation,
    operation_of,
)

_REF = "#/components/schemas/{model}"
_ANY_JSON = {"$ref": _REF.format(model="JsonValue")}
# What json_codec accepts: integers fit 64 bits, at any depth. pydantic describes it as anything.
_JSON_VALUE = {
    "description": "Any JSON value whose integers fit 64 bits.",
    "not": {
        "type": "integer",
        "anyOf": [
            {"exclusiveMinimum": json_codec.MAX_INTEGER},
            {"exclusiveMaximum": json_codec.MIN_INTEGER},
        ],
    },
    "items": _ANY_JSON,
    "additionalProperties": _ANY_JSON,
}
# Deferred models are built here, and pydantic cannot build one on several threads at once.
_one_at_a_time = threading.Lock()


class ProblemDocument(ResponseModel):
    """An RFC 9457 problem document."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[dict[str, Any]] | None = None


def document(app: Flask, settings: Settings) -> dict[str, Any]:
    """The OpenAPI description of every documented endpoint of `app`."""
    endpoints = list(_endpoints(app))
    refs, components = _schemas([described for _, _, described, _ in endpoints])
    paths: dict[str, dict[str, Any]] = {}
    secured = app.extensions["auth"].configured
    for url, method, described, view in endpoints:
        paths.setdefault(url, {})[method] = {
            **_describe(method, described, view, refs, secured),
            "parameters": list(_parameters(described, settings)),
        }
    schemes = {"token": {"type": "http", "scheme": "bearer", "description": "See API_TOKENS."}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": settings.service_name,
            "version": settings.version,
            "description": "Every response carries X-Request-ID; every error is a problem "
            "document (RFC 9457).",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(e[2].tag for e in endpoints)],
        "paths": paths,
        "components": {
            "schemas": {**components, "JsonValue": _JSON_VALUE},
            **({"securitySchemes": schemes} if secured else {}),
        },
    }


def _endpoints(app: Flask) -> Iterator[tuple[str, str, operation, View]]:
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        described = operation_of(view)
        if described is None:
            continue
        url = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield url, method.lower(), described, view


def _schemas(operations: list[operation]) -> tuple[Any, dict[str, Any]]:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(ProblemDocument, "serialization")]
    for described in operations:
        if described.body:
            wanted.append((described.body, "validation"))
        for response in described.responses.values():
            if response.model:
                wanted.append((response.model, "serialization"))
    with _one_at_a_time:
        refs, definitions = models_json_schema(list(dict.fromkeys(wanted)), ref_template=_REF)
    return refs, definitions.get("$defs", {})


def _describe(
    method: str, described: operation, view: View, refs: Any, secured: bool
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "operationId": f"{method}_{view.__name__}",
        "summary": described.summary,
        "description": inspect.getdoc(view) or described.summary,
        "tags": [described.tag],
        "responses": {
            **{
                str(status): _response(response, refs)
                for status, response in described.responses.items()
            },
            "default": {
                "description": "What went wrong.",
                "content": {
                    problems.CONTENT_TYPE: {"schema": refs[(ProblemDocument, "serialization")]}
                },
            },
        },
    }
    if described.body or described.any_body:
        schema = refs[(described.body, "validation")] if described.body else _ANY_JSON
        content = _json_content(schema, described.body_example)
        result["requestBody"] = {"required": True, "content": content}
    if described.needs_token and secured:
        result["security"] = [{"token": []}]
    return result


def _parameters(described: operation, settings: Settings) -> Iterator[dict[str, Any]]:
    for place, model in (("path", described.path), ("query", described.query)):
        if not model:
            continue
        schema = model.model_json_schema()
        for name, property_ in schema.get("properties", {}).items():
            if MAXIMUM_SETTING in property_:
                property_["maximum"] = getattr(settings, property_.pop(MAXIMUM_SETTING))
            yield {
                "name": name,
                "in": place,
                "required": place == "path" or name in schema.get("required", ()),
                "description": property_.pop("description", name),
                "schema": property_,
            }
    for header in described.headers:
        pattern = {"pattern": f"^{header.pattern}$"} if header.pattern else {}
        yield {
            "name": header.name,
            "in": "header",
            "required": False,
            "description": header.description,
            "schema": {"type": "string", **pattern},
        }


def _response(response: ResponseSpec, refs: Any) -> dict[str, Any]:
    result: dict[str, Any] = {"description": response.description}
    if response.headers:
        result["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in response.headers.items()
        }
    if response.model or response.any_json:
        schema = refs[(response.model, "serialization")] if response.model else _ANY_JSON
        result["content"] = _json_content(schema, response.example)
    return result


def _json_content(schema: Any, example: Any) -> dict[str, Any]:
    examples = {} if example is None else {"example": example}
    return {"application/json": {"schema": schema, **examples}}
