"""New secrets in files: used without a restart and without a lost request. SIGHUP."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.support.load import Load
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer
from tests.support.service import Service, StartService, on_both_servers

ITEMS = "/api/v1/items"
OLD, NEW = "A7mQ2xLw9Zt4VbN6rK1sYh3D", "Zt4VbN6rK1sYh3DA7mQ2xLw9"
USED = "are used from now on"  # each worker says so


def write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.rename(path)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    write(tmp_path / "secret", OLD)
    return tmp_path / "secret"


@pytest.fixture
def service(start_service: StartService, server: str, secret: Path) -> Iterator[Service]:
    settings = {"API_TOKENS_FILE": str(secret), "WEB_CONCURRENCY": "2"}
    with start_service(server=server, **settings) as running:
        yield running


def post(service: Service, token: str = NEW) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return service.post(ITEMS, {"name": "Tea"}, headers=headers).status_code


def both(service: Service) -> tuple[int, int]:
    """The answers to the old and to the new token."""
    return post(service, OLD), post(service, NEW)


@on_both_servers
@pytest.mark.slow
def test_new_tokens_are_used_by_all_workers_and_later_ones(service: Service, secret: Path) -> None:
    assert both(service) == (201, 401)
    write(secret, NEW)
    wait_until(lambda: len(service.messages(USED)) == 2, seconds=10, why="both workers use them")
    assert {both(service) for _ in range(20)} == {(401, 201)}
    if service.env["SERVER"] == "gunicorn":
        for worker in service.worker_pids():
            os.kill(worker, signal.SIGTERM)
        wait_until(lambda: len(service.messages(USED)) == 4, why="the next do too")
        assert {both(service) for _ in range(20)} == {(401, 201)}


@pytest.mark.slow
def test_reloads_under_load_lose_no_request(service: Service) -> None:
    with Load(service.port, [("GET", "/api/v1/info")], connections=8, pause=0.01) as load:
        for reload in range(1, 5):
            service.send_signal(signal.SIGHUP)
            service.wait_for_boots(2 + 2 * reload)
        answers = load.stop()

    assert len(answers) > 100
    assert {answer.status for answer in answers} == {200}


def test_sighup_reads_secrets_or_changes_nothing_if_it_fails(
    service: Service, secret: Path
) -> None:
    secret.unlink()
    service.send_signal(signal.SIGHUP)
    wait_until(lambda: service.messages("Reload refused"), why="it is refused")
    service.wait_for_boots(4)
    assert both(service) == (201, 401)

    secret.write_text(NEW, encoding="utf-8")
    service.send_signal(signal.SIGHUP)
    wait_until(lambda: both(service) == (401, 201), why="the new one is valid")


@pytest.fixture
def with_password(own_redis: RedisServer) -> Iterator[RedisServer]:
    """Redis as it is while a password is replaced: a user with two of them."""
    with own_redis.client() as redis:
        redis.execute_command(*f"ACL SETUSER app on >{OLD} >{NEW} ~* &* +@all".split())
        redis.execute_command("ACL", "SETUSER", "default", "off")
    yield own_redis


@pytest.mark.slow
def test_a_new_password_of_redis_is_used_for_reads_and_writes(
    start_service: StartService, with_password: RedisServer, secret: Path
) -> None:
    settings = {"REDIS_USERNAME": "app", "REDIS_PASSWORD_FILE": str(secret), "WEB_CONCURRENCY": "1"}
    settings |= {"REDIS_TIMEOUT_MS": "10000", "REDIS_DATA_TIMEOUT_MS": "10000"}
    with start_service(redis=with_password.url, **settings) as service:
        assert post(service) == 201
        with Load(service.port, [("GET", ITEMS)], connections=4, pause=0.01) as load:
            write(secret, NEW)
            wait_until(lambda: service.messages(USED), seconds=10, why="it uses the new one")
            with Redis(port=with_password.port, username="app", password=NEW) as redis:
                redis.execute_command("ACL", "SETUSER", "app", f"<{OLD}")
                redis.client_kill_filter(_type="normal", skipme=True)
            for _ in range(5):
                assert post(service) == 201
            answers = load.stop()

    assert {answer.status for answer in answers} == {200}
