"""One computation for all callers that miss the same key, across threads and processes."""

import multiprocessing
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
def cache(redis_url: str, redis_prefix: str) -> CacheService:
    return make_cache(redis_url, redis_prefix)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


def test_a_cold_key_is_computed_once(redis_url: str, redis_prefix: str, redis: Redis) -> None:
    start, answers = fork.Barrier(PROCESSES * THREADS), fork.Queue()
    arguments = (redis_url, redis_prefix, start, answers)
    processes = [fork.Process(target=ask_from_threads, args=arguments) for _ in range(PROCESSES)]

    for process in processes:
        process.start()
    values = [value for _ in processes for value in answers.get(timeout=60)]
    for process in processes:
        process.join(timeout=10)

    assert redis.get(f"{redis_prefix}computed") == b"1"
    assert values == [1] * (PROCESSES * THREADS)


def test_a_dead_holders_lock_runs_out(cache: CacheService, redis: Redis, redis_prefix: str) -> None:
    redis.set(f"{redis_prefix}lock:key", "a dead process's", px=400)
    assert cache.get_or_set("key", 60, lambda: 1) == 1
