"""The thread that does chores: it never stops for one that fails, and ends with a last round."""

import logging
import threading

import pytest

from app.utils.store import StoreFull, StoreUnavailable
from app.utils.ticker import Ticker


@pytest.mark.parametrize("error", [StoreUnavailable("gone", tried=True), StoreFull()])
def test_a_chore_without_redis_is_skipped_without_a_word(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    def fail() -> None:
        raise error

    Ticker((fail, lambda: done.append("next"))).tick()

    assert done == ["next"]
    assert not caplog.records


def test_a_chore_that_breaks_is_logged_and_does_not_stop_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[str] = []

    Ticker((lambda: done.append(str(1 / 0)), lambda: done.append("next"))).tick()

    assert done == ["next"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_chores_are_done_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.utils.ticker.INTERVAL_SECONDS", 0.001)
    thrice = threading.Event()
    rounds: list[int] = []

    def chore() -> None:
        rounds.append(1)
        if len(rounds) == 3:
            thrice.set()

    ticker = Ticker((chore,))
    ticker.start()

    assert thrice.wait(5)
    ticker.stop()


def test_stopping_does_every_chore_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.utils.ticker.INTERVAL_SECONDS", 3600)
    rounds: list[int] = []
    ticker = Ticker((lambda: rounds.append(1),))
    ticker.start()

    ticker.stop()

    assert rounds == [1]


def test_a_ticker_that_was_never_started_can_be_stopped() -> None:
    Ticker(()).stop()
