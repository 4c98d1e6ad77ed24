"""The release on the cluster beside the stack of Compose: requests per second, in one run."""

import statistics
from collections.abc import Iterator

import pytest

from tests.e2e.cluster import Release, installed, load_images
from tests.e2e.stack import Stack, new_stack, started
from tests.support.load import Load, statuses

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROUNDS, REQUESTS = 9, 3000


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = new_stack(tmp_path_factory.mktemp("compose"), "beside")
    with started(running):
        yield running


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """One nginx and two of the service, as in the stack."""
    load_images()
    with installed(
        tmp_path_factory.mktemp("beside"), "e2e-beside", edge__replicaCount="1"
    ) as found:
        yield found


def test_as_many_requests_are_answered_as_by_the_stack(release: Release, compose: Stack) -> None:
    ratios = []
    for _ in range(ROUNDS):
        there, here = _rate(release.http), _rate(compose.http)
        ratios.append(there / here)

    print("requests per second, cluster to Compose:", *(f"{each:.2f}" for each in sorted(ratios)))
    assert statistics.median(ratios) >= 0.9


def _rate(url: str) -> float:
    """Requests per second, from eight connections."""
    answers = Load(url, [("GET", "/api/v1/items?limit=1")], connections=8, total=REQUESTS).run()
    assert statuses(answers) == {200: REQUESTS}
    first = min(each.at for each in answers)
    return REQUESTS / (max(each.at + each.seconds for each in answers) - first)
