"""New secrets in files: used without a restart and without a lost request. SIGHUP."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.support.load import Load, Request, statuses
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


ALL = ("REDIS_USERNAME", "REDIS_PASSWORD", "API_TOKENS", "SECRET_KEY")
RIGHTS = "~ds:* resetchannels -@all +@read +@write +@connection +@transaction +@scripting +info"


def wait_until_taken(service: Service, start: int) -> None:
    """Until both workers have taken up secrets since there were this many lines in the log."""

    def takers() -> set[int]:
        return {each["pid"] for each in service.log_records[start:] if USED in each["message"]}

    wait_until(lambda: len(takers()) == 2, seconds=10, why="both workers use it")


def wait_until_accepted(service: Service, token: str) -> None:
    def answers() -> set[int]:
        return {post(service, token) for _ in range(20)}

    wait_until(lambda: answers() == {201}, seconds=10, why="both workers accept the new token")


@pytest.mark.slow
@pytest.mark.parametrize("revoked_at_once", [False, True])
def test_users_tokens_and_keys_that_change_under_load_lose_no_request(
    start_service: StartService, own_redis: RedisServer, tmp_path: Path, revoked_at_once: bool
) -> None:
    """As a vault does it: there is a new user each time, and the one before it is deleted.

    Deleted at once, while it is used: then a write that Redis has just done may get no answer.
    """
    token = OLD + "0"

    def make(number: int) -> None:
        with own_redis.client() as redis:
            redis.execute_command(*f"ACL SETUSER user-{number} on >{OLD}{number} {RIGHTS}".split())
        write(tmp_path / "redis_username", f"user-{number}")
        write(tmp_path / "redis_password", f"{OLD}{number}")
        write(tmp_path / "secret_key", f"{NEW}{number}")
        write(tmp_path / "api_tokens", f"{OLD}{number - 1}\n{OLD}{number}")

    def requests() -> Iterator[Request]:
        while True:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            yield Request("GET", ITEMS)
            yield Request("GET", "/api/v1/session")
            if not revoked_at_once:
                yield Request("POST", ITEMS, b'{"name": "Tea"}', headers)
                yield Request("PUT", "/api/v1/cache/a", b"1", headers)

    make(0)
    settings = {f"{name}_FILE": str(tmp_path / name.lower()) for name in ALL}
    settings |= {"WEB_CONCURRENCY": "2", "REDIS_TIMEOUT_MS": "10000"}
    settings |= {"REDIS_DATA_TIMEOUT_MS": "10000"}
    with start_service(redis=own_redis.url, **settings) as service, own_redis.client() as redis:
        post(service, token)
        with Load(service.port, requests(), connections=4, pause=0.01) as load:
            for number in (1, 2, 3):
                seen = len(service.log_records)
                make(number)
                if not revoked_at_once:
                    wait_until_taken(service, seen)
                redis.execute_command("ACL", "DELUSER", f"user-{number - 1}")
                wait_until_accepted(service, f"{OLD}{number}")
                token = f"{OLD}{number}"
            answers = load.stop()
        failures = [each["exception"] for each in service.log_records if each.get("status") == 503]

    assert len(answers) > 500
    assert (set(statuses(answers)) - {200, 201}, failures) == (set(), [])
