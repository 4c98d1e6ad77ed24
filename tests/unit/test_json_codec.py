"""JSON in and out: strict, and nothing that would change on the way."""

import orjson
import pytest

from app.http import json_codec
from app.http.problems import Problem


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{", b'{"a":}', b"[1,]", b"{} {}", b"'a'", b"01"),
        *(b"NaN", b"[Infinity]", b"-Infinity"),
        *(b'"\\ud800"', b'"\xff"', b"\xef\xbb\xbf{}"),
        *(b"[" * 300 + b"]" * 300, b'{"a":' * 300 + b"1" + b"}" * 300),
    ],
)
def test_invalid_json_is_a_400(text: bytes) -> None:
    with pytest.raises(Problem, match="not valid JSON") as caught:
        json_codec.loads(text)
    assert caught.value.status == 400


@pytest.mark.parametrize("number", [str(2**64), str(-(2**63) - 1), "1" + "0" * 400])
@pytest.mark.parametrize("place", ["{}", "[0, [{}]]", '{{"a": {{"b": {}}}}}'])
def test_an_integer_beyond_64_bits_is_a_400_wherever_it_stands(number: str, place: str) -> None:
    with pytest.raises(Problem, match="does not fit 64 bits"):
        json_codec.loads(place.format(number).encode())


def test_integers_of_64_bits_and_two_hundred_levels_are_read_exactly() -> None:
    for text in (str(2**64 - 1).encode(), str(-(2**63)).encode(), b"[" * 200 + b"]" * 200):
        assert orjson.dumps(json_codec.loads(text)) == text


def test_a_number_beyond_a_double_is_a_400() -> None:
    with pytest.raises(Problem, match="does not fit a double"):
        json_codec.loads(b"[1e999]")
