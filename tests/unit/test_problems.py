"""Every error is a problem document, whatever its cause; JSON is read strictly."""

import logging
from typing import Any

import orjson
import pytest
from flask import Flask
from werkzeug.exceptions import BadGateway, ImATeapot, InternalServerError, NotFound

from app.http import json_codec
from app.http.problems import Problem
from app.redis_client.client import RedisFull, RedisUnavailable


def fail_with(app: Flask, error: Exception) -> Any:
    @app.get("/fails")
    def fails() -> str:
        raise error

    return app.test_client().get("/fails", headers={"X-Request-ID": "mine"})


def test_a_problem_has_the_members_of_rfc_9457(app: Flask) -> None:
    wrong = {"location": "body.name", "message": "too long", "type": "string_too_long"}
    problem = Problem(409, "Try again.", errors=[wrong], headers={"Retry-After": "1"})

    response = fail_with(app, problem)

    assert (response.status_code, response.content_type) == (409, "application/problem+json")
    assert response.headers["Retry-After"] == "1"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "Try again.",
        "instance": "/fails",
        "request_id": "mine",
        "errors": [wrong],
    }


@pytest.mark.parametrize(
    ("method", "headers", "advice"),
    [
        ("POST", {"Idempotency-Key": "k"}, "stored; repeat it with the same Idempotency-Key."),
        ("POST", {}, "It may have been stored; look for it before you repeat it"),
        ("PUT", {}, "It may have been stored; read it before you repeat it."),
        ("DELETE", {}, "It may have been stored; read it before you repeat it."),
    ],
)
def test_a_write_whose_answer_is_missing_says_how_to_repeat_it(
    app: Flask, method: str, headers: dict[str, str], advice: str
) -> None:
    @app.route("/writes", methods=[method])
    def writes() -> str:
        error = RedisUnavailable("TimeoutError while EVALSHA")
        error.maybe_stored = True
        raise error

    response: Any = app.test_client().open("/writes", method=method, headers=headers)

    assert response.status_code == 503 and "Retry-After" in response.headers
    assert advice in response.json["detail"]


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("a secret detail"), InternalServerError("a secret detail")]
)
def test_a_bug_is_a_500_without_internals_and_the_log_has_them(
    app: Flask, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    response = fail_with(app, error)
    assert response.status_code == 500
    assert "secret" not in response.text and "Zero" not in response.text
    records = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert [record.exc_info and record.exc_info[0] for record in records] == [type(error)]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (Problem(503, "Later."), "Problem: Later."),
        (RedisUnavailable("TimeoutError while GET"), "RedisUnavailable: TimeoutError while GET"),
        (RedisFull("OOM"), "RedisFull: OOM"),
        (ZeroDivisionError("a secret detail"), "ZeroDivisionError in tests.unit.test_problems:"),
        (BadGateway("a secret detail"), "BadGateway in tests.unit.test_problems:"),
        (NotFound(), "None"),
    ],
)
def test_the_log_line_of_a_failed_request_names_the_cause_in_one_line(
    app: Flask, caplog: pytest.LogCaptureFixture, error: Exception, cause: str
) -> None:
    caplog.set_level(logging.INFO)
    fail_with(app, error)
    (line,) = [vars(record) for record in caplog.records if record.name == "app.request"]
    named = str(line.get("exception"))
    assert named.startswith(cause) and "secret" not in named and "\n" not in named


def test_an_error_of_flask_keeps_its_status_and_words(app: Flask) -> None:
    response = fail_with(app, ImATeapot("Short and stout."))
    assert (response.status_code, response.json["detail"]) == (418, "Short and stout.")


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
