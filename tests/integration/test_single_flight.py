"""One computation for all who want the same thing, across threads and processes."""

import multiprocessing
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis

from app.services.cache_service import CacheService
from tests.support.app_parts import make_redis, make_settings

PROCESSES = 8
THREADS = 8

fork = multiprocessing.get_context("fork")


def make_cache(url: str, prefix: str) -> CacheService:
    environ = {"REDIS_URL": url, "REDIS_KEY_PREFIX": prefix}
    return CacheService(make_settings(**environ), make_redis(**environ))


def ask_from_threads(url: str, prefix: str, start: Any, answers: Any) -> None:
    """What each process does: eight threads ask for the same cold key at the same time."""
    cache = make_cache(url, prefix)

    def compute() -> int:
        with Redis.from_url(url) as redis:
            count: int = redis.incr(f"{prefix}computed")
        time.sleep(0.3)
        return count

    def ask(_: int) -> Any:
        start.wait()
        return cache.get_or_set("cold", 60, compute)

    with ThreadPoolExecutor(THREADS) as threads:
        answers.put(list(threads.map(ask, range(THREADS))))


@pytest.fixture
def prefix(redis_prefix: str) -> str:
    return redis_prefix


@pytest.fixture
def cache(redis_url: str, prefix: str) -> CacheService:
    return make_cache(redis_url, prefix)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


def test_sixty_four_clients_asking_for_one_cold_key_compute_it_once(
    redis_url: str, prefix: str, redis: Redis
) -> None:
    start, answers = fork.Barrier(PROCESSES * THREADS), fork.Queue()
    arguments = (redis_url, prefix, start, answers)
    processes = [fork.Process(target=ask_from_threads, args=arguments) for _ in range(PROCESSES)]

    for process in processes:
        process.start()
    values = [value for _ in processes for value in answers.get(timeout=60)]
    for process in processes:
        process.join(timeout=10)

    assert redis.get(f"{prefix}computed") == b"1"
    assert values == [1] * (PROCESSES * THREADS)


def test_a_failed_computation_lets_the_next_caller_try(cache: CacheService) -> None:
    def fail() -> int:
        raise LookupError("the source is away")

    with pytest.raises(LookupError):
        cache.get_or_set("key", 60, fail)

    assert cache.get_or_set("key", 60, lambda: 7) == 7


def test_a_value_near_its_end_is_refreshed_by_one_caller_while_the_rest_are_served(
    cache: CacheService, redis: Redis, prefix: str
) -> None:
    cache.set("key", "old", 100)
    redis.pexpire(f"{prefix}cache:key", 5_000)  # less than a tenth is left
    computing, finish = threading.Event(), threading.Event()
    computed: list[int] = []

    def compute() -> str:
        computed.append(1)
        computing.set()
        finish.wait(5)
        return "new"

    with ThreadPoolExecutor(1) as threads:
        refreshing = threads.submit(cache.get_or_set, "key", 100, compute)
        assert computing.wait(5)
        meanwhile = [cache.get_or_set("key", 100, compute) for _ in range(10)]
        finish.set()

        assert refreshing.result(5) == "new"

    assert meanwhile == ["old"] * 10
    assert computed == [1]
    assert cache.get("key") == "new"


def test_a_fresh_value_is_not_refreshed(cache: CacheService) -> None:
    cache.get_or_set("key", 100, lambda: "first")

    assert cache.get_or_set("key", 100, lambda: "second") == "first"


def test_times_to_live_carry_jitter(cache: CacheService, redis: Redis, prefix: str) -> None:
    for number in range(30):
        cache.get_or_set(f"key{number}", 1000, lambda: 1)

    lives = [redis.pttl(f"{prefix}cache:key{number}") for number in range(30)]

    assert all(900_000 - 5_000 <= life <= 1_000_000 for life in lives)
    assert max(lives) - min(lives) > 20_000


def test_a_lock_whose_holder_has_died_runs_out(
    cache: CacheService, redis: Redis, prefix: str
) -> None:
    redis.set(f"{prefix}lock:key", "a dead process's", px=400)

    assert cache.get_or_set("key", 60, lambda: 1) == 1


def test_the_lock_of_another_is_not_released(
    cache: CacheService, redis: Redis, prefix: str
) -> None:
    def compute_for_too_long() -> int:
        redis.set(f"{prefix}lock:key", "another's")  # ours ran out, and somebody took it
        return 1

    cache.get_or_set("key", 60, compute_for_too_long)

    assert redis.get(f"{prefix}lock:key") == b"another's"
