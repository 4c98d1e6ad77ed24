"""An unavailable Redis: no request waits long, and the service recovers without a restart."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.utils import metrics
from tests.support.load import Answer, Load
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer
from tests.support.service import Service, StartService

# The service promises 250 ms in all; the rest is for the client and the network.
CEILING_SECONDS = 0.3
# Data may take 2 s; then it is a 503.
DATA_SECONDS = 2.1
ITEMS = "/api/v1/items"
CACHED = "/api/v1/cache/some-key"
DATA = (ITEMS, "/api/v1/stats")
REQUESTS = [("GET", path) for path in (ITEMS, CACHED, "/api/v1/info", "/health", DATA[1])]


@pytest.fixture
def service(start_service: StartService, own_redis: RedisServer) -> Iterator[Service]:
    with start_service(redis=own_redis.url, WEB_CONCURRENCY="2") as running:
        yield running


def wait_for_health(service: Service, status: str) -> None:
    wait_until(
        lambda: (answer := service.get("/health")).ok and answer.json()["status"] == status,
        why=status,
    )


def wait_seconds(seconds: float, since: float) -> None:
    wait_until(lambda: time.monotonic() > since + seconds, why="the time has passed")


def delay_of_the_machine(answers: list[Answer]) -> float:
    """The slowest request that does not use Redis."""
    return max(answer.seconds for answer in answers if answer.path == "/api/v1/info")


def assert_sound(answers: list[Answer]) -> None:
    """No request is late, broken or an internal error."""
    delay = delay_of_the_machine(answers)

    def is_late(answer: Answer) -> bool:
        promised = DATA_SECONDS if answer.path in DATA else CEILING_SECONDS
        return answer.seconds > max(promised, delay + promised - 0.05)

    late = [answer for answer in answers if is_late(answer)]
    wrong = [answer for answer in answers if answer.status not in (200, 404, 503)]
    assert not late, f"{len(late)} of {len(answers)} are late: {late[:3]}"
    assert not wrong, f"{len(wrong)} of {len(answers)} are wrong: {wrong[:3]}"


@pytest.mark.slow
def test_a_killed_redis_delays_no_request_and_is_used_again(
    service: Service, own_redis: RedisServer
) -> None:
    with Load(service.port, REQUESTS, connections=8, pause=0.02) as load:
        wait_until(lambda: len(load.answers) > 100, why="the load is running")
        own_redis.kill()
        killed = time.monotonic()
        wait_for_health(service, "degraded")
        degraded = time.monotonic() - killed
        wait_seconds(2, since=killed)
        starting = time.monotonic()
        own_redis.start()
        back = time.monotonic()
        wait_until(lambda: service.get(ITEMS).ok, why="items are back")
        wait_for_health(service, "healthy")
        recovered = time.monotonic() - back
        wait_seconds(5, since=back)
        wait_until(
            lambda: 503 not in {answer.status for answer in load.answers[-100:]},
            why="no request fails any more",
        )
        answers = load.stop()

    since = [answer for answer in answers if answer.at > killed]
    delay = delay_of_the_machine(since)
    assert_sound(since)
    assert {a.status for a in answers if killed + 0.5 < a.at < starting - 0.5} == {200, 503}
    assert (degraded < 2 + delay, recovered < 5 + delay) == (True, True)


def test_a_hanging_redis_delays_no_request_for_long(
    service: Service, own_redis: RedisServer
) -> None:
    with Load(service.port, REQUESTS, connections=8, pause=0.02) as load:
        wait_until(lambda: len(load.answers) > 100, why="the load is running")
        own_redis.pause()
        paused = time.monotonic()
        wait_seconds(3, since=paused)
        own_redis.resume()
        wait_for_health(service, "healthy")
        answers = load.stop()

    assert_sound([answer for answer in answers if answer.at > paused])


def test_a_short_pause_fails_no_request_for_data(service: Service, own_redis: RedisServer) -> None:
    created = service.post(ITEMS, {"name": "Tea"}).headers["Location"]
    own_redis.pause()
    with ThreadPoolExecutor() as threads:
        writing = threads.submit(service.post, ITEMS, {"name": "Tea"})
        reading = threads.submit(service.get, created)
        cached = service.get(CACHED)
        time.sleep(1)
        own_redis.resume()

    assert (writing.result().status_code, reading.result().status_code) == (201, 200)
    assert cached.status_code == 503
    assert cached.elapsed.total_seconds() < 1


def test_the_circuit_shows_without_any_request(service: Service, own_redis: RedisServer) -> None:
    own_redis.kill()
    wait_until(lambda: service.metric(metrics.CIRCUIT_STATE) == 2, seconds=5, why="open")
    own_redis.start()
    wait_until(lambda: service.metric(metrics.CIRCUIT_STATE) == 0, seconds=5, why="closed")


def test_a_write_may_be_repeated_with_its_key(
    start_service: StartService, own_redis: RedisServer
) -> None:
    key = {"Idempotency-Key": "mine"}
    settings = {"WEB_CONCURRENCY": "1", "REDIS_DATA_TIMEOUT_MS": "500"}
    with start_service(redis=own_redis.url, **settings) as service:
        assert service.post(ITEMS, {"name": "Tea"}).status_code == 201
        own_redis.pause()
        written = service.post(ITEMS, {"name": "Coffee"}, headers=key)
        read = service.get("/api/v1/session", cookies={"session": "x" * 43})
        own_redis.resume()
        wait_for_health(service, "healthy")
        wait_until(
            lambda: service.post(ITEMS, {"name": "Coffee"}, headers=key).status_code == 201,
            why="the repetition is answered",
        )
        names = [item["name"] for item in service.get(ITEMS).json()["items"]]

    assert (written.status_code, read.status_code) == (503, 503)
    assert "stored; repeat it with the same Idempotency-Key." in written.json()["detail"]
    assert "unavailable. Try again in a moment." in read.json()["detail"]
    assert names == ["Tea", "Coffee"]
