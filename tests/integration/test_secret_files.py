"""New secrets in files: used without a restart, and without a lost request."""

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


def write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.rename(path)


def post(service: Service, token: str = NEW) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return service.post(ITEMS, {"name": "Tea"}, headers=headers).status_code


def taken_up(service: Service) -> int:
    """How many workers have said that they use new secrets."""
    return sum("are used from now on" in line for line in service.log_lines)


@on_both_servers
@pytest.mark.slow
def test_new_tokens_are_used_by_all_workers(
    start_service: StartService, server: str, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    write(tokens, OLD)
    with start_service(server=server, API_TOKENS_FILE=str(tokens), WEB_CONCURRENCY="2") as service:
        first = (post(service, OLD), post(service))
        write(tokens, NEW)
        wait_until(lambda: taken_up(service) == 2, seconds=10, why="both workers use them")
        then = {(post(service, OLD), post(service)) for _ in range(20)}

    assert first == (201, 401)
    assert then == {(401, 201)}


@pytest.mark.slow
def test_a_worker_that_starts_later_has_the_new_tokens_not_those_of_the_master(
    start_service: StartService, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    write(tokens, OLD)
    with start_service(API_TOKENS_FILE=str(tokens), WEB_CONCURRENCY="1") as service:
        write(tokens, NEW)
        wait_until(lambda: taken_up(service) == 1, seconds=10, why="the worker uses them")
        (worker,) = service.worker_pids()
        os.kill(worker, signal.SIGTERM)
        wait_until(lambda: taken_up(service) == 2, seconds=20, why="and the next one does")

        assert (post(service, OLD), post(service)) == (401, 201)


@pytest.fixture
def with_password(own_redis: RedisServer) -> Iterator[RedisServer]:
    """Redis as it is while a password is replaced: a user with two of them."""
    with own_redis.client() as redis:
        redis.execute_command(
            "ACL", "SETUSER", "app", "on", f">{OLD}", f">{NEW}", "~*", "&*", "+@all"
        )
        redis.execute_command("ACL", "SETUSER", "default", "off")
    yield own_redis


@pytest.mark.slow
def test_a_new_password_of_redis_is_used_for_reads_and_writes(
    start_service: StartService, with_password: RedisServer, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    write(password, OLD)
    with start_service(
        redis=with_password.url,
        REDIS_USERNAME="app",
        REDIS_PASSWORD_FILE=str(password),
        REDIS_TIMEOUT_MS="10000",
        REDIS_DATA_TIMEOUT_MS="10000",
        WEB_CONCURRENCY="1",
    ) as service:
        assert post(service) == 201
        with Load(service.port, [("GET", ITEMS)], connections=4, pause=0.01) as load:
            write(password, NEW)
            wait_until(lambda: taken_up(service) == 1, seconds=10, why="it uses the new one")
            with Redis(port=with_password.port, username="app", password=NEW) as redis:
                redis.execute_command("ACL", "SETUSER", "app", f"<{OLD}")
                redis.client_kill_filter(_type="normal", skipme=True)
            for _ in range(5):
                assert post(service) == 201
            answers = load.stop()

    assert {answer.status for answer in answers} == {200}
