"""scripts/lib/pipeline_minutes.py: how long a push takes, from the seconds of each job."""

import importlib
from typing import Any

import pytest

minutes: Any = importlib.import_module("pipeline_minutes")


def test_every_job_of_a_push_has_its_seconds() -> None:
    """A new job may cost minutes that nobody has counted."""
    called_or_deploying = {"ci-cd/image", "ci-cd/staging", "ci-cd/production"}
    assert set(minutes.measured()) == set(minutes.jobs()) - called_or_deploying


def test_a_push_is_a_signed_image_in_twenty_minutes_and_pages_take_four() -> None:
    numbers = minutes.numbers()
    assert numbers["from a push to the signed image"] <= 20
    assert numbers["from a push of pages to its end"] <= 4


def test_a_job_ends_after_the_slowest_that_it_waits_for() -> None:
    known = {"ci-cd/a": {}, "ci-cd/b": {}, "ci-cd/last": {"needs": ["a", "b", "left-out"]}}
    known["ci-cd/left-out"] = {}
    run = {"ci-cd/a": [60.0], "ci-cd/b": [30.0, 90.0], "ci-cd/last": [5.0]}
    assert minutes.end("ci-cd/last", run, known) == 95
    assert minutes.counted(run) == pytest.approx(1 + 1 + 2 + 1)
