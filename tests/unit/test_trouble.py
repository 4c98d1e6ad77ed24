"""What the log says about a Redis that does not serve."""

import logging

import pytest
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError

from app.redis_client import trouble
from app.redis_client.circuit_breaker import State
from app.redis_client.trouble import Trouble

FULL = "command not allowed when used memory > 'maxmemory'."


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_a_cause_is_named_once_whatever_the_command(caplog: pytest.LogCaptureFixture) -> None:
    seen = Trouble()
    for text in (
        FULL,
        f"Command # 2 (SET ds:fault s3cret) of pipeline caused error: {FULL}",
        f"{FULL} script: 5d41402a, on @user_script:3.",
    ):
        seen.refused(OutOfMemoryError(text, status_code="OOM"))

    assert caplog.messages == [f"Redis refuses commands: OOM: {FULL}"]
    assert seen.refusal == "OOM"


def test_what_a_command_contained_is_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    Trouble().failed(
        ResponseError("unknown command `AUTH`, with args beginning with: `app` `s3cret`")
    )
    assert caplog.messages == ["Redis is unavailable: unknown command `AUTH`"]


def test_a_cause_is_named_again_after_redis_has_served(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Trouble()
    seen.refused(ReadOnlyError("no", status_code="READONLY"))
    seen.wrote()
    assert seen.refusal == "READONLY"  # others may still be refused

    monkeypatch.setattr(trouble, "SETTLED_SECONDS", 0.0)
    seen.wrote()
    seen.refused(ReadOnlyError("no", status_code="READONLY"))

    refused = "Redis refuses commands: READONLY: no"
    assert caplog.messages == [refused, "Redis serves again.", refused]


def test_a_circuit_is_logged_at_each_change_once(caplog: pytest.LogCaptureFixture) -> None:
    seen = Trouble()
    attempts = [State.OPEN, State.HALF_OPEN] * 3
    for state in [State.CLOSED, *attempts, State.CLOSED, State.OPEN]:
        seen.circuit_changed("the cache", state, "TimeoutError while GET: no answer")

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "The circuit to Redis for the cache is open"),
        ("INFO", "The circuit to Redis for the cache is half-open"),
        ("INFO", "The circuit to Redis for the cache is closed"),
        ("WARNING", "The circuit to Redis for the cache is open"),
    ]
    opened = caplog.records[0]
    assert getattr(opened, "exception") == "TimeoutError while GET: no answer"
