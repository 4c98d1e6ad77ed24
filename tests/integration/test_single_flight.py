"""One computation for all callers that miss the same key, across threads and processes."""

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from redis import Redis

from app.services.cache_service import CacheService
from tests.support.app_parts import make_redis, make_settings

PROCESSES = 8
THREADS = 8

fork = multiprocessing.get_context("fork")


def ask_from_threads(url: str, prefix: str, start: Any, answers: Any) -> None:
    """What each process does: eight threads ask for the same cold key at the same time."""
    environ = {"REDIS_URL": url, "REDIS_KEY_PREFIX": prefix}
    cache = CacheService(make_settings(**environ), make_redis(**environ))

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


def test_a_cold_key_is_computed_once(redis_url: str, redis_prefix: str) -> None:
    start, answers = fork.Barrier(PROCESSES * THREADS), fork.Queue()
    arguments = (redis_url, redis_prefix, start, answers)
    processes = [fork.Process(target=ask_from_threads, args=arguments) for _ in range(PROCESSES)]
    for process in processes:
        process.start()

    values = [value for _ in processes for value in answers.get(timeout=60)]

    for process in processes:
        process.join(timeout=10)
    # Each computation returns a number of its own.
    assert values == [1] * (PROCESSES * THREADS)
