"""How many large bodies one process reads at a time."""

import threading
from typing import Any

import pytest

from app.http import large_bodies
from app.http.large_bodies import MAX_BYTES, SMALL, LargeBodies
from app.http.problems import Problem

HALF = MAX_BYTES // 2


@pytest.fixture
def bodies() -> LargeBodies:
    return LargeBodies()


@pytest.fixture
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_bodies, "WAIT_SECONDS", 0.0)


@pytest.mark.usefixtures("_no_wait")
@pytest.mark.parametrize("size", [HALF + 1, 100 * MAX_BYTES])
def test_what_does_not_fit_is_a_503_with_retry_after(bodies: LargeBodies, size: int) -> None:
    with bodies.admit(HALF), pytest.raises(Problem) as refused:
        with bodies.admit(size):
            pass
    assert refused.value.status == 503
    assert int((refused.value.headers or {})["Retry-After"]) > 0


@pytest.mark.usefixtures("_no_wait")
def test_a_larger_body_is_read_alone_and_gives_its_memory_back(bodies: LargeBodies) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            with bodies.admit(100 * MAX_BYTES), bodies.admit(SMALL), bodies.admit(SMALL):
                raise ZeroDivisionError


def test_a_body_waits_for_those_before_it(bodies: LargeBodies) -> None:
    started, entered = threading.Event(), threading.Event()

    def second() -> None:
        started.set()
        with bodies.admit(MAX_BYTES):
            entered.set()

    thread = threading.Thread(target=second)
    with bodies.admit(MAX_BYTES):
        thread.start()
        assert started.wait(20)
        assert not entered.wait(0.05)

    thread.join(20)
    assert entered.is_set()


def test_a_large_body_counts_until_the_answer(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    admit = LargeBodies.admit

    def noted(self: LargeBodies, size: int) -> Any:
        seen.append(size)
        return admit(self, size)

    monkeypatch.setattr(LargeBodies, "admit", noted)

    client.put("/api/v1/cache/large", json="x" * 100_000)
    client.get("/api/v1/cache/large")

    assert seen == [100_002]
