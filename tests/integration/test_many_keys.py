"""A cache of many entries: how much Redis is asked to count them."""

from redis import Redis

from tests.support.redis_server import RedisServer
from tests.support.service import StartService

CACHE = "/api/v1/cache"
KEYS = 50_000


def scans(redis: Redis) -> int:
    return int(redis.info("commandstats").get("cmdstat_scan", {}).get("calls", 0))


def test_the_use_of_a_large_cache_takes_a_bounded_number_of_commands(
    start_service: StartService, own_redis: RedisServer
) -> None:
    with start_service(redis=own_redis.url, WEB_CONCURRENCY="1") as service:
        with own_redis.client() as redis:
            prefix = "ds:cache:api:key-"
            pipeline = redis.pipeline(transaction=False)
            for number in range(KEYS):
                pipeline.set(f"{prefix}{number}", "1", ex=3600)
            pipeline.execute()
            before = scans(redis)

            answer = service.get(CACHE)

            asked = scans(redis) - before

    report = answer.json()
    assert answer.status_code == 200
    assert (10_000 <= report["keys"] < 12_000, report["keys_complete"]) == (True, False)
    assert asked == 10
