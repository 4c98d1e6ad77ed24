"""Reloading by SIGHUP: no request is lost, secrets are read anew, a failure changes nothing."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.gunicorn_server import GunicornServer
from tests.support.load import Load
from tests.support.processes import wait_until

FIRST, SECOND = "the-first-token", "the-second-token"
WORKERS = 2


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """The file that the service reads its tokens from."""
    path = tmp_path / "tokens"
    path.write_text(FIRST, encoding="utf-8")
    return path


@pytest.fixture
def server(redis_url: str, redis_prefix: str, tokens: Path) -> Iterator[GunicornServer]:
    settings = {
        "REDIS_URL": redis_url,
        "REDIS_KEY_PREFIX": redis_prefix,
        "REDIS_TIMEOUT_MS": "10000",  # a busy machine is no reason to give up
        "API_TOKENS_FILE": str(tokens),
        "WEB_CONCURRENCY": str(WORKERS),
        "DRAIN_SECONDS": "0",
    }
    with GunicornServer(settings) as running:
        wait_for_boots(running, WORKERS)
        yield running


def wait_for_boots(server: GunicornServer, number: int) -> None:
    """Wait until this many workers have started since the beginning."""
    wait_until(
        lambda: sum("Booting worker" in line for line in server.log_lines) >= number,
        seconds=30,
        why=f"{number} workers have started",
    )


def put_with(server: GunicornServer, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{server.base_url}/api/v1/cache/key"
    return requests.put(url, json=1, headers=headers, timeout=20).status_code


@pytest.mark.slow
def test_reloads_under_load_lose_no_request(server: GunicornServer) -> None:
    with Load(server.port, [("GET", "/api/v1/info")], connections=8, pause=0.01) as load:
        for reload in range(1, 5):
            server.send_signal(signal.SIGHUP)
            wait_for_boots(server, WORKERS * (1 + reload))
        answers = load.stop()

    assert len(answers) > 100
    assert {answer.status for answer in answers} == {200}


def test_sighup_takes_over_secrets_from_changed_files(server: GunicornServer, tokens: Path) -> None:
    assert put_with(server, FIRST) == 201

    tokens.write_text(SECOND, encoding="utf-8")
    server.send_signal(signal.SIGHUP)

    wait_until(lambda: put_with(server, FIRST) == 401, seconds=20, why="the first has ended")
    wait_until(lambda: put_with(server, SECOND) == 200, seconds=20, why="the second is valid")


def test_a_reload_that_fails_leaves_the_service_as_it_was(
    server: GunicornServer, tokens: Path
) -> None:
    tokens.unlink()
    server.send_signal(signal.SIGHUP)

    wait_until(
        lambda: any("Reload refused" in line for line in server.log_lines),
        seconds=20,
        why="the reload is refused",
    )
    wait_for_boots(server, 2 * WORKERS)
    assert put_with(server, FIRST) == 201
