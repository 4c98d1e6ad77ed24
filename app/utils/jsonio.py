"""JSON in and out, strict in both directions.

Reading accepts what RFC 8259 calls JSON and nothing else (no NaN, no lone surrogates, some 200
levels deep at most, UTF-8 only). Integers must fit 64 bits and numbers a double, as I-JSON
(RFC 7493, section 2.2) asks, because anything larger is silently changed by most readers.
"""

import math
from typing import Any

import orjson
import pydantic_core
from pydantic import BeforeValidator

from app.utils.problems import Problem

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


# Put last on a strict integer: JSON Schema, like languages with one kind of number, calls 3.0 one.
WHOLE = BeforeValidator(_whole)


def loads(data: bytes) -> Any:
    """Read a JSON text that came from outside.

    Raises:
        Problem: 400, when `data` is no JSON or holds a number that would not survive.
    """
    try:
        value = pydantic_core.from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise Problem(400, f"The body is not valid JSON: {error}.") from error
    _check_numbers(value)
    return value


def dumps(value: Any) -> bytes:
    """Write JSON; `value` must consist of what `loads` returns, dates and UUIDs."""
    return orjson.dumps(value)


def _check_numbers(value: Any) -> None:
    """Refuse what orjson would turn into null or refuse to write."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, int) and not MIN_INTEGER <= item <= MAX_INTEGER:
            raise Problem(400, "The body holds an integer that does not fit 64 bits.")
        elif isinstance(item, float) and not math.isfinite(item):
            raise Problem(400, "The body holds a number that does not fit a double.")
