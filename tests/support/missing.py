"""What to do when something that tests need is not on this machine."""

import os
from typing import NoReturn

import pytest

NO_REDIS = (
    "NO REDIS FOR THE INTEGRATION TESTS: install redis-server; all but those of outages"
    " also take TEST_REDIS_URL or a container engine"
)


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true")


def missing(reason: str) -> NoReturn:
    """A person may go on without it; CI must not turn green on tests that never ran."""
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
