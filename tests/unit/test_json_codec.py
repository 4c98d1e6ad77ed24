"""JSON in and out: strict, and nothing that would change on the way."""

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.http import json_codec
from app.http.problems import Problem

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(json_codec.MIN_INTEGER, json_codec.MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


# A busy machine makes Hypothesis' own generating slow, which is not what is tested.
@settings(
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(JSON)
def test_every_value_is_read_back_unchanged(value: Any) -> None:
    assert json_codec.loads(orjson.dumps(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"a":}',
        "[1,]",
        "{} {}",
        "'a'",
        "NaN",
        "[Infinity]",
        "-Infinity",
        '"\\ud800"',
        "01",
        "\ufeff{}",
        "[" * 300 + "]" * 300,
        '{"a":' * 300 + "1" + "}" * 300,
    ],
)
def test_invalid_json_is_a_400(text: str) -> None:
    with pytest.raises(Problem, match="not valid JSON") as caught:
        json_codec.loads(text.encode())

    assert caught.value.status == 400


def test_invalid_utf8_is_a_400() -> None:
    with pytest.raises(Problem, match="not valid JSON"):
        json_codec.loads(b'"\xff"')


@pytest.mark.parametrize("number", [str(2**64), str(-(2**63) - 1), "1" + "0" * 400])
@pytest.mark.parametrize("place", ["{}", "[0, [{}]]", '{{"a": {{"b": {}}}}}'])
def test_an_integer_beyond_64_bits_is_a_400_wherever_it_stands(number: str, place: str) -> None:
    with pytest.raises(Problem, match="does not fit 64 bits"):
        json_codec.loads(place.format(number).encode())


@pytest.mark.parametrize("number", [str(2**64 - 1), str(-(2**63))])
def test_an_integer_of_64_bits_is_read_exactly(number: str) -> None:
    assert json_codec.loads(number.encode()) == int(number)


def test_a_number_beyond_a_double_is_a_400() -> None:
    with pytest.raises(Problem, match="does not fit a double"):
        json_codec.loads(b"[1e999]")


def test_two_hundred_levels_may_be_nested() -> None:
    text = b"[" * 200 + b"]" * 200

    assert orjson.dumps(json_codec.loads(text)) == text
