"""Loaded by Schemathesis: rules for generated requests that the schema cannot express."""

import itertools
from typing import Any

import schemathesis
from schemathesis import Case, HookContext

_numbers = itertools.count()


@schemathesis.hook
def filter_body(_: HookContext, body: Any) -> bool:
    """Leave out numbers such as 1e163: whole for JSON Schema, to the service no integers."""
    if isinstance(body, (dict, list)):
        inner = body.values() if isinstance(body, dict) else body
        return all(filter_body(_, each) for each in inner)
    return not (isinstance(body, float) and body.is_integer() and abs(body) >= 2**63)


@schemathesis.hook
def before_call(_: HookContext, case: Case[Any], **_arguments: Any) -> None:
    """Keep idempotency keys apart, as one with another body is refused, and delays short."""
    if case.meta and case.meta.generation.mode.is_negative:
        return
    key = case.headers.get("Idempotency-Key")
    if key:
        case.headers["Idempotency-Key"] = f"{next(_numbers)}-{key}"[:200]
    seconds = case.path_parameters.get("seconds")
    if seconds is not None:
        case.path_parameters["seconds"] = float(seconds) / 1000
