"""One computation for all threads that want the same thing at the same time."""

import threading
from typing import Any

import pytest

from app.services.single_flight import SingleFlight


@pytest.fixture
def flights() -> SingleFlight[Any]:
    return SingleFlight()


def test_concurrent_callers_get_the_same_result(flights: SingleFlight[Any]) -> None:
    began, release = threading.Event(), threading.Event()
    calls: list[int] = []
    results: list[Any] = []

    def compute() -> object:
        calls.append(1)
        began.set()
        release.wait(5)
        return object()

    def ask() -> None:
        results.append(flights.share("key", compute))

    leader = threading.Thread(target=ask)
    leader.start()
    began.wait(5)
    followers = [threading.Thread(target=ask) for _ in range(8)]
    for thread in followers:
        thread.start()
    release.set()
    for thread in (leader, *followers):
        thread.join(5)

    # A follower that the scheduler held up until all was over computes for itself.
    assert len(results) == 9
    assert len(set(map(id, results))) == len(calls)


def test_an_error_reaches_the_caller(flights: SingleFlight[Any]) -> None:
    with pytest.raises(ZeroDivisionError):
        flights.share("key", lambda: 1 / 0)


def test_after_it_is_over_the_next_one_computes_anew(flights: SingleFlight[Any]) -> None:
    first = flights.share("key", object)

    assert flights.share("key", object) is not first


def test_different_keys_do_not_wait_for_each_other(flights: SingleFlight[Any]) -> None:
    inner = flights.share("outer", lambda: flights.share("inner", lambda: "both"))

    assert inner == "both"
