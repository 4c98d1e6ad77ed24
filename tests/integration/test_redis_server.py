"""The redis-server that outage tests rely on must itself fail in the ways they need."""

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.support.redis_server import RedisServer


def test_it_answers_on_the_port_and_on_the_socket(own_redis: RedisServer) -> None:
    Redis.from_url(own_redis.unix_url).set("key", "value")

    assert own_redis.client().get("key") == "value"


def test_a_killed_server_refuses_connections_until_it_is_started_again(
    own_redis: RedisServer,
) -> None:
    own_redis.client().set("key", "value")

    own_redis.kill()

    with pytest.raises(RedisConnectionError):
        Redis(port=own_redis.port, retry=None).ping()
    own_redis.start()
    assert own_redis.client().get("key") is None


def test_a_paused_server_accepts_and_does_not_answer_until_it_is_resumed(
    own_redis: RedisServer,
) -> None:
    own_redis.pause()

    with pytest.raises(RedisTimeoutError):
        Redis(port=own_redis.port, socket_timeout=0.2, retry=None).ping()
    own_redis.resume()
    assert own_redis.client().ping()
