"""Redis away: nobody waits, nothing breaks, and all is well again without a restart."""

import statistics
import time
from collections.abc import Iterator

import pytest
import requests

from tests.support.gunicorn_server import GunicornServer
from tests.support.load import Answer, Load
from tests.support.processes import free_port, wait_until
from tests.support.redis_server import RedisServer

# The service promises 250 ms in all; the rest is the client's and the network's.
CEILING_SECONDS = 0.3
REQUESTS = [
    ("GET", "/api/v1/items"),
    ("GET", "/api/v1/cache/some-key"),
    ("GET", "/api/v1/info"),
    ("GET", "/health"),
    ("GET", "/api/v1/stats"),
]


@pytest.fixture
def server(own_redis: RedisServer) -> Iterator[GunicornServer]:
    settings = {"REDIS_URL": own_redis.url, "WEB_CONCURRENCY": "2", "DRAIN_SECONDS": "0"}
    with GunicornServer(settings) as running:
        yield running


def health(server: GunicornServer) -> tuple[int, str]:
    response = requests.get(f"{server.base_url}/health", timeout=5)
    return response.status_code, response.json()["status"]


def get(server: GunicornServer, path: str) -> requests.Response:
    return requests.get(server.base_url + path, timeout=5)


def held_up(answers: list[Answer]) -> float:
    """What a request that never goes near Redis took at worst: the machine's doing."""
    return max(answer.seconds for answer in answers if answer.path == "/api/v1/info")


def assert_sound(answers: list[Answer]) -> None:
    """No request is late, broken or an internal error."""
    assert answers
    ceiling = max(CEILING_SECONDS, held_up(answers) + 0.25)
    late = [answer for answer in answers if answer.seconds > ceiling]
    wrong = [answer for answer in answers if answer.status not in (200, 404, 503)]
    assert not late, f"{len(late)} of {len(answers)} are late: {late[:3]}"
    assert not wrong, f"{len(wrong)} of {len(answers)} are wrong: {wrong[:3]}"


@pytest.mark.slow
def test_redis_killed_under_load_delays_nobody_and_comes_back_by_itself(
    server: GunicornServer, own_redis: RedisServer
) -> None:
    with Load(server.port, REQUESTS, connections=8, pause=0.02) as load:
        wait_until(lambda: len(load.answers) > 100, seconds=20, why="the load is running")
        own_redis.kill()
        killed = time.monotonic()
        wait_until(lambda: health(server) == (200, "degraded"), seconds=20, why="degraded")
        degraded = time.monotonic() - killed
        wait_until(lambda: time.monotonic() > killed + 2, seconds=20, why="two seconds are over")
        starting = time.monotonic()
        own_redis.start()
        back = time.monotonic()
        wait_until(lambda: get(server, "/api/v1/items").ok, seconds=20, why="items are back")
        wait_until(lambda: health(server) == (200, "healthy"), seconds=20, why="healthy")
        recovered = time.monotonic() - back
        wait_until(lambda: time.monotonic() > back + 5, seconds=20, why="five seconds are over")
        wait_until(lambda: all_is_well(load.answers), seconds=20, why="no request fails any more")
        answers = load.stop()

    since = [answer for answer in answers if answer.at > killed]
    assert_sound(since)
    assert {a.status for a in answers if killed + 0.5 < a.at < starting - 0.5} == {200, 503}
    assert (degraded < 2 + held_up(since), recovered < 5 + held_up(since)) == (True, True)


def all_is_well(answers: list[Answer]) -> bool:
    """Whether the last hundred requests all found Redis."""
    return 503 not in {answer.status for answer in answers[-100:]}


def test_a_redis_that_hangs_delays_nobody_beyond_the_ceiling(
    server: GunicornServer, own_redis: RedisServer
) -> None:
    with Load(server.port, REQUESTS, connections=8, pause=0.02) as load:
        wait_until(lambda: len(load.answers) > 100, seconds=20, why="the load is running")
        own_redis.pause()
        paused = time.monotonic()
        wait_until(lambda: time.monotonic() > paused + 3, seconds=20, why="three seconds are over")
        own_redis.resume()
        wait_until(lambda: health(server) == (200, "healthy"), seconds=20, why="healthy")
        answers = load.stop()

    assert_sound([answer for answer in answers if answer.at > paused])


def test_an_open_circuit_answers_at_once(server: GunicornServer, own_redis: RedisServer) -> None:
    own_redis.pause()
    for _ in range(20):
        get(server, "/api/v1/items")

    waits: dict[str, list[float]] = {path: [] for path in ("/api/v1/items", "/api/v1/info")}
    for _ in range(40):
        for path, taken in waits.items():
            taken.append(get(server, path).elapsed.total_seconds())

    own_redis.resume()
    # One caller a second and worker tries whether Redis is back; the others do not wait.
    without, bystander = (statistics.median(taken) for taken in waits.values())
    assert without < bystander + 0.05
    text = get(server, "/metrics").text
    assert 'cache_requests_total{operation="get_or_set",result="hit"}' in text


def test_an_endpoint_without_its_store_says_so_and_when_to_come_back(
    server: GunicornServer, own_redis: RedisServer
) -> None:
    own_redis.kill()

    response = get(server, "/api/v1/items")

    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert int(response.headers["Retry-After"]) > 0
    assert response.json()["request_id"] == response.headers["X-Request-ID"]


def test_a_session_that_cannot_be_kept_is_not_promised(
    server: GunicornServer, own_redis: RedisServer
) -> None:
    own_redis.kill()

    response = requests.put(
        f"{server.base_url}/api/v1/session", json={"data": {"theme": "dark"}}, timeout=5
    )

    assert response.status_code == 503
    assert "Set-Cookie" not in response.headers


def test_the_metrics_say_that_the_circuit_is_open(
    server: GunicornServer, own_redis: RedisServer
) -> None:
    own_redis.kill()

    wait_until(
        lambda: "cache_circuit_state 2.0" in get(server, "/metrics").text,
        seconds=5,
        why="the circuit shows as open without any request",
    )

    own_redis.start()
    wait_until(
        lambda: "cache_circuit_state 0.0" in get(server, "/metrics").text,
        seconds=5,
        why="the circuit shows as closed without any request",
    )


def test_readiness_follows_redis_only_when_it_is_told_to(own_redis: RedisServer) -> None:
    settings = {
        "REDIS_URL": own_redis.url,
        "READINESS_REQUIRES_REDIS": "true",
        "WEB_CONCURRENCY": "1",
        "DRAIN_SECONDS": "0",
    }
    with GunicornServer(settings) as strict:
        own_redis.kill()

        assert get(strict, "/health/ready").status_code == 503
        assert get(strict, "/health/live").status_code == 200
        assert health(strict) == (503, "unhealthy")


def test_a_full_store_refuses_writes_and_goes_on_reading(own_redis: RedisServer) -> None:
    settings = {
        "REDIS_URL": own_redis.url,
        "REDIS_TIMEOUT_MS": "10000",  # a busy machine is no reason to give up
        "DRAIN_SECONDS": "0",
    }
    with GunicornServer(settings) as server:
        item = requests.post(f"{server.base_url}/api/v1/items", json={"name": "Tea"}, timeout=5)
        with own_redis.client() as redis:
            redis.config_set("maxmemory", "1")  # byte: it is over that from the start

        refused = requests.post(f"{server.base_url}/api/v1/items", json={"name": "No"}, timeout=5)
        read = get(server, item.headers["Location"])

    assert refused.status_code == 507
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert read.json()["name"] == "Tea"


def test_a_replica_that_has_lost_its_master_counts_as_away(
    server: GunicornServer, own_redis: RedisServer
) -> None:
    with own_redis.client() as redis:
        redis.config_set("replica-serve-stale-data", "no")
        redis.replicaof("127.0.0.1", str(free_port()))

        refused = get(server, "/api/v1/items")
        redis.replicaof("NO", "ONE")

    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    wait_until(
        lambda: get(server, "/api/v1/items").status_code == 200,
        seconds=5,
        why="once it is a master itself, lists are answered",
    )
