"""A primary that is lost: the next one is found, and no write is acknowledged that may be lost."""

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import ResponseError

from app.factory import create_app
from app.redis_client import name_lookup
from app.redis_client.client import RedisClient, RedisUnavailable
from app.services.cache_service import CacheService
from app.services.items import ItemService
from tests.support.app_parts import make_redis, make_settings, one_request
from tests.support.processes import free_port, wait_until
from tests.support.redis_server import RedisSentinel, RedisServer
from tests.support.service import Service, StartService

ITEMS = "/api/v1/items"
KEY = {"Idempotency-Key": "mine"}


@pytest.fixture
def sentinel() -> Iterator[RedisSentinel]:
    running = RedisSentinel()
    yield running
    running.close()


def turn_into_a_replica(server: RedisServer) -> None:
    server.client().replicaof("127.0.0.1", free_port())


def serve_nothing_stale(server: RedisServer) -> None:
    server.client().config_set("replica-serve-stale-data", "no")
    turn_into_a_replica(server)


def cut_off_from_replicas(server: RedisServer) -> None:
    server.client().config_set("min-replicas-to-write", 1)


@pytest.mark.parametrize("lose", [turn_into_a_replica, serve_nothing_stale, cut_off_from_replicas])
def test_the_first_request_after_a_failover_reaches_the_new_primary(
    sentinel: RedisSentinel,
    own_redis: RedisServer,
    second_redis: RedisServer,
    lose: Callable[[RedisServer], None],
) -> None:
    sentinel.monitor(own_redis.port)
    sentinels = f"127.0.0.1:{sentinel.port}"
    settings = make_settings(REDIS_URL="redis://MyMaster/0", REDIS_SENTINELS=sentinels)
    client = create_app(settings).test_client()
    assert client.post(ITEMS, json={"name": "Tea"}).status_code == 201
    assert client.get(ITEMS).status_code == 200
    sentinel.monitor(second_redis.port)
    lose(own_redis)

    written = client.post(ITEMS, json={"name": "Tea"})
    read = client.get(ITEMS, headers={"Cache-Control": "no-cache"})

    assert written.status_code == 201, written.text
    assert [item["id"] for item in read.get_json()["items"]] == [written.get_json()["id"]]


def through(*sentinels: str | int, **settings: str) -> RedisClient:
    """A client that asks these Sentinels: `host:port`, or a port of this machine."""
    addresses = [each if isinstance(each, str) else f"127.0.0.1:{each}" for each in sentinels]
    return make_redis(
        REDIS_URL="redis://MyMaster/0", REDIS_SENTINELS=",".join(addresses), **settings
    )


def test_a_read_after_a_time_out_asks_sentinel_anew(
    sentinel: RedisSentinel, own_redis: RedisServer, second_redis: RedisServer
) -> None:
    sentinel.monitor(own_redis.port)
    redis = through(sentinel.port, REDIS_TIMEOUT_MS="1000")
    with second_redis.client() as second:
        second.set("name", "second")
    assert redis.read(("GET", "name")) == [None]
    own_redis.pause()
    with pytest.raises(RedisUnavailable, match="TimeoutError"):
        redis.read(("GET", "name"))

    sentinel.monitor(second_redis.port)

    assert redis.read(("GET", "name")) == [b"second"]


def test_a_hanging_sentinel_leaves_time(sentinel: RedisSentinel, own_redis: RedisServer) -> None:
    sentinel.monitor(own_redis.port)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        redis = through(hanging.getsockname()[1], sentinel.port, REDIS_TIMEOUT_MS="1000")
        with one_request():
            answers = [redis.ping() for _ in range(2)]
    assert len(answers) == 2


def test_names_of_sentinels_and_of_their_primary_are_looked_up_within_the_budget(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_names = ("sentinel resolve-hostnames yes", "sentinel announce-hostnames yes")
    sentinel = RedisSentinel(*of_names, f"sentinel monitor MyMaster localhost {own_redis.port} 1")
    looked_up: list[str] = []

    def addresses(host: str, seconds: float) -> list[str]:
        looked_up.append(host)
        assert 0 < seconds <= 10
        return ["127.0.0.1"]

    monkeypatch.setattr(name_lookup, "addresses", addresses)
    redis = through(f"sentinel.example:{sentinel.port}")
    redis.ping()
    redis.read(("GET", "name"))
    sentinel.close()

    assert {"sentinel.example", "localhost"} == set(looked_up)


def promote(server: RedisServer, _other: RedisServer) -> None:
    server.client().replicaof("NO", "ONE")


def gain_a_replica(server: RedisServer, other: RedisServer) -> None:
    other.follow(server)
    wait_until(lambda: accepts_writes(server), why="the replica counts")


def accepts_writes(server: RedisServer) -> bool:
    with suppress(ResponseError):
        return bool(server.client().set("key", 1))
    return False


def redis_check(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service.get("/health").json()["checks"]["redis"]
    return found


OUTAGES = {
    "READONLY": (turn_into_a_replica, promote),
    "NOREPLICAS": (cut_off_from_replicas, gain_a_replica),
}


@pytest.mark.slow
@pytest.mark.parametrize("cause", OUTAGES)
def test_a_redis_that_refuses_writes_answers_reads_and_is_used_again_by_itself(
    start_service: StartService, own_redis: RedisServer, second_redis: RedisServer, cause: str
) -> None:
    lose, restore = OUTAGES[cause]
    with start_service(redis=own_redis.url, WEB_CONCURRENCY="1") as service:
        place = service.post(ITEMS, {"name": "Tea"}).headers["Location"]
        session = service.put("/api/v1/session", {"data": {"theme": "dark"}})
        lose(own_redis)
        refused = [service.post(ITEMS, {"name": "No"}) for _ in range(6)]
        read = [service.get(path).status_code for path in (place, ITEMS)]
        kept = service.get("/api/v1/session", cookies=session.cookies).json()
        wait_until(lambda: redis_check(service)["status"] == "degraded", seconds=5, why="it tells")
        restore(own_redis, second_redis)
        written = service.post(ITEMS, {"name": "Tea"})
        wait_until(lambda: redis_check(service)["status"] == "healthy", why="is back")
        wait_until(lambda: service.messages("Redis serves again"), why="is logged")

        assert [answer.status_code for answer in refused] == [503] * 6
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
        assert "may have been stored" not in refused[0].text
        assert (read, written.status_code) == ([200, 200], 201)
        assert kept.get("data") == {"theme": "dark"}
        assert len(service.messages(cause)) == 1


@pytest.fixture
def replicated(own_redis: RedisServer, second_redis: RedisServer) -> RedisServer:
    second_redis.follow(own_redis)
    return second_redis


@pytest.mark.slow
def test_what_a_replica_has_not_confirmed_is_not_acknowledged(
    start_service: StartService, own_redis: RedisServer, replicated: RedisServer
) -> None:
    settings = {"REDIS_WAIT_REPLICAS": "1", "WEB_CONCURRENCY": "1"}
    with start_service(redis=own_redis.url, **settings) as service:
        confirmed = service.post(ITEMS, {"name": "Tea"})
        place = confirmed.headers["Location"]
        replicated.pause()
        posted = service.post(ITEMS, {"name": "Coffee"}, headers=KEY)
        repeated = service.post(ITEMS, {"name": "Coffee"}, headers=KEY)
        replaced = service.put(place, {"name": "Green tea"})
        of_a_session = service.put("/api/v1/session", {"data": {}})
        cached = service.put("/api/v1/cache/key", 1)
        listed = service.get(ITEMS)
        wait_until(lambda: redis_check(service).get("refuses"), seconds=10, why="health tells")
        replicated.resume()
        again = service.post(ITEMS, {"name": "Coffee"}, headers=KEY)
        wait_until(lambda: service.messages("serves again"), why="it is over")

        assert confirmed.status_code == 201
        for refused in (posted, repeated):
            assert refused.status_code == 503 and "Retry-After" in refused.headers
            assert "may have been stored; repeat it with the same Idempotency-Key" in refused.text
        for refused in (replaced, of_a_session):
            assert refused.status_code == 503
            assert "may have been stored; read it before you repeat it" in refused.text
        assert "Set-Cookie" not in of_a_session.headers
        assert (cached.status_code, listed.status_code) == (201, 200)
        assert again.status_code == 201 and again.headers["Idempotency-Replayed"] == "true"
        assert len(service.get(ITEMS).json()["items"]) == 2
        assert len(service.messages("fewer than 1 replicas have confirmed")) == 1


def test_a_replayed_write_waits_for_replicas(
    own_redis: RedisServer, replicated: RedisServer
) -> None:
    """On Redis 8, WAIT is about the connection's own writes; the first one was another's."""
    replicated.pause()
    for _ in range(2):
        with pytest.raises(RedisUnavailable) as caught:
            items_of(own_redis).create({"name": "Tea"}, "mine")
        assert caught.value.maybe_stored
    replicated.resume()

    assert items_of(own_redis).create({"name": "Tea"}, "mine").replayed
    with own_redis.client() as client:
        assert {client.ttl(key) for key in client.scan_iter("*")} == {-1}


def items_of(server: RedisServer) -> ItemService:
    settings = {"REDIS_WAIT_REPLICAS": "1", "REDIS_TIMEOUT_MS": "1000"}
    redis = make_redis(REDIS_URL=server.url, **settings)
    return ItemService(redis, CacheService(make_settings(), redis))


def test_an_unknown_script_is_loaded_again(own_redis: RedisServer, replicated: RedisServer) -> None:
    redis = make_redis(REDIS_URL=own_redis.url, REDIS_WAIT_REPLICAS="1")
    script = redis.script("return redis.call('INCRBY', KEYS[1], ARGV[1])", replicated=True)

    with own_redis.client() as client, replicated.client() as copy:
        first = script(["number"], [2])
        client.script_flush()
        second = script(["number"], [3])
        stored = copy.get("number")

    assert (first, second, stored) == (2, 5, "5")
