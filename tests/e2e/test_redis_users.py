"""The users of Redis: the service may use its keys, the exporter numbers."""

import pytest

from tests.e2e.stack import Stack

CLIENT = """
import sys, redis
from redis.backoff import NoBackoff
from redis.retry import Retry
# Once: a refused password would be tried again for seconds.
once = Retry(NoBackoff(), 0)
client = redis.Redis(
    "redis", username=sys.argv[1], password=sys.argv[2], socket_timeout=5, retry=once
)
try:
    print(client.execute_command(*sys.argv[3:]))
except redis.RedisError as error:
    print(type(error).__name__, error)
"""


def redis_says(stack: Stack, user: str, *command: str, password: str | None = None) -> str:
    """What Redis answers to a client on the data network."""
    secret = stack.secret(f"redis_{user}_password") if password is None else password
    return stack.run_in("web", "python", "-c", CLIENT, user, secret, *command).strip()


@pytest.mark.parametrize(
    "command",
    [
        ("CONFIG", "SET", "maxmemory", "1gb"),
        ("CONFIG", "GET", "*"),
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("DEBUG", "SLEEP", "0"),
        ("ACL", "LIST"),
        ("SHUTDOWN",),
        ("REPLICAOF", "127.0.0.1", "6379"),
        ("MODULE", "LIST"),
        ("SCRIPT", "FLUSH"),
        ("FUNCTION", "FLUSH"),
        ("CLIENT", "KILL", "TYPE", "normal"),
        ("SET", "another:key", "value"),
        ("GET", "another:key"),
        ("PUBLISH", "channel", "message"),
    ],
    ids=" ".join,
)
def test_the_service_cannot_run_the_server_or_leave_its_keys(
    stack: Stack, command: tuple[str, ...]
) -> None:
    assert "Error" in redis_says(stack, "app", *command)


@pytest.mark.parametrize(
    "command",
    [
        ("SET", "ds:e2e:probe", "value", "EX", "5"),
        ("EVAL", "return redis.call('GET', KEYS[1])", "1", "ds:e2e:probe"),
        ("SCRIPT", "LOAD", "return 1"),
        ("SCAN", "0", "MATCH", "ds:none:*"),
        ("PFADD", "ds:e2e:users", "one"),
        ("INFO", "memory"),
        ("DEL", "ds:e2e:users"),
    ],
    ids=" ".join,
)
def test_the_service_can_do_its_work(stack: Stack, command: tuple[str, ...]) -> None:
    assert "Error" not in redis_says(stack, "app", *command)


@pytest.mark.parametrize(
    "command",
    [("SET", "ds:x", "1"), ("GET", "ds:x"), ("SCAN", "0"), ("CONFIG", "SET", "save", "")],
    ids=" ".join,
)
def test_the_exporter_sees_numbers_only(stack: Stack, command: tuple[str, ...]) -> None:
    assert redis_says(stack, "exporter", *command).startswith("NoPermissionError")


def test_without_a_password_every_user_is_refused(stack: Stack) -> None:
    for user in ("default", "app", "operator"):
        said = redis_says(stack, user, "PING", password="")
        assert "Error" in said and "PONG" not in said


def test_the_server_runs_as_it_is_configured(stack: Stack) -> None:
    expected = {
        "appendonly": "yes",
        "maxmemory-policy": "volatile-lfu",
        "maxmemory": str(256 * 1024 * 1024),
        "appendfsync": "everysec",
        "enable-debug-command": "no",
        "enable-module-command": "no",
    }
    for name, value in expected.items():
        assert f"'{value}'" in redis_says(stack, "operator", "CONFIG", "GET", name)
