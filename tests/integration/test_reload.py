"""SIGHUP: no request is lost, secrets are read again, a failing reload changes nothing."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.load import Load
from tests.support.processes import wait_until
from tests.support.service import Service, StartService

FIRST, SECOND = "the-first-token", "the-second-token"
WORKERS = 2


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """The file from which the service reads its tokens."""
    path = tmp_path / "tokens"
    path.write_text(FIRST, encoding="utf-8")
    return path


@pytest.fixture
def service(start_service: StartService, tokens: Path) -> Iterator[Service]:
    settings = {"API_TOKENS_FILE": str(tokens), "WEB_CONCURRENCY": str(WORKERS)}
    with start_service(**settings) as running:
        yield running


def put_with(service: Service, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return service.put("/api/v1/cache/key", 1, headers=headers).status_code


@pytest.mark.slow
def test_reloads_under_load_lose_no_request(service: Service) -> None:
    with Load(service.port, [("GET", "/api/v1/info")], connections=8, pause=0.01) as load:
        for reload in range(1, 5):
            service.send_signal(signal.SIGHUP)
            service.wait_for_boots(WORKERS * (1 + reload))
        answers = load.stop()

    assert len(answers) > 100
    assert {answer.status for answer in answers} == {200}


def test_sighup_reads_secrets_from_changed_files(service: Service, tokens: Path) -> None:
    assert put_with(service, FIRST) == 201

    tokens.write_text(SECOND, encoding="utf-8")
    service.send_signal(signal.SIGHUP)

    wait_until(lambda: put_with(service, FIRST) == 401, seconds=20, why="the first has ended")
    wait_until(lambda: put_with(service, SECOND) == 200, seconds=20, why="the second is valid")


def test_a_reload_that_fails_changes_nothing(service: Service, tokens: Path) -> None:
    tokens.unlink()
    service.send_signal(signal.SIGHUP)

    wait_until(
        lambda: any("Reload refused" in line for line in service.log_lines),
        seconds=20,
        why="the reload is refused",
    )
    service.wait_for_boots(2 * WORKERS)
    assert put_with(service, FIRST) == 201
