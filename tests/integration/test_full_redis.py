"""A full Redis: only cache entries are evicted, and data are stored or refused."""

import re

import pytest

from tests.support.paths import ROOT
from tests.support.redis_server import RedisServer
from tests.support.service import Service, StartService

ITEMS = "/api/v1/items"
SESSION = "/api/v1/session"
CONFIGURATION = (ROOT / "docker" / "redis" / "redis.conf").read_text(encoding="utf-8")
(POLICY,) = re.findall(r"^maxmemory-policy (\S+)$", CONFIGURATION, re.MULTILINE)


def fill_the_cache(service: Service) -> set[int]:
    """Store twice as much as fits, and read each value three times; the answers to the writes."""
    value, statuses = "x" * 250_000, set()
    for number in range(65):
        path = f"/api/v1/cache/filling-{number}"
        statuses.add(service.put(path, value).status_code)
        for _ in range(3):
            service.get(path)
    return statuses


@pytest.mark.slow
@pytest.mark.parametrize("policy", [POLICY, "noeviction", "volatile-ttl"])
def test_a_full_redis_keeps_what_is_not_cache(start_service: StartService, policy: str) -> None:
    server = RedisServer("--maxmemory", "8mb", "--maxmemory-policy", policy)
    server.start()
    long = {"REDIS_TIMEOUT_MS": "10000", "REDIS_DATA_TIMEOUT_MS": "10000"}
    once = {"Idempotency-Key": "k1"}
    with start_service(redis=server.url, WEB_CONCURRENCY="1", **long) as service:
        first = service.post(ITEMS, {"name": "Tea"}, headers=once)
        session = service.put(SESSION, {"data": {"theme": "dark"}})
        kept = service.scrape().count("users_active")
        filled = fill_the_cache(service)

        again = service.post(ITEMS, {"name": "Tea"}, headers=once)
        read = service.get(SESSION, cookies=session.cookies)
        item = first.headers["Location"]
        deleted = service.request("DELETE", item).status_code, service.get(item).status_code
        listed = service.get(ITEMS)
        with server.client() as redis:
            mortal = {key.split(":")[1] for key in redis.keys("*") if redis.ttl(key) >= 0}

    server.close()
    assert filled <= {201, 507} and (policy != POLICY or filled == {201})
    assert (again.status_code, again.json()) == (201, first.json())
    assert read.json()["data"] == {"theme": "dark"}
    assert (deleted, listed.json()["items"]) == ((204, 404), [])
    assert mortal <= {"cache", "lock"}
    assert kept
