"""Reads JSON from outside, strictly. orjson writes it.

Accepts RFC 8259 JSON only: no NaN, no lone surrogates, about 200 levels at most, UTF-8.
Integers must fit 64 bits and numbers a double, as I-JSON (RFC 7493, section 2.2) asks, because most
readers silently change larger ones.
"""

import math
from typing import Any

import pydantic_core
from pydantic import BeforeValidator

from app.http.problems import Problem

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


# The last annotation of a strict integer: JSON Schema takes 3.0 for an integer.
WHOLE = BeforeValidator(_whole)


def loads(data: bytes) -> Any:
    """Read a JSON text that came from outside.

    Raises:
        Problem: 400, when `data` is not JSON or contains a number that would be changed.
    """
    try:
        value = pydantic_core.from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise Problem(400, f"The body is not valid JSON: {error}.") from error
    _check_numbers(value)
    return value


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
            raise Problem(400, "The body contains an integer that does not fit 64 bits.")
        elif isinstance(item, float) and not math.isfinite(item):
            raise Problem(400, "The body contains a number that does not fit a double.")
