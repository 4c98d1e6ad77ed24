"""A page of the items list: with a million items and with a thousand.

A script in Redis creates the items, in the layout that ARCHITECTURE.md documents; over HTTP a
million would take longer than everything else together. The service is asked for them through its
API before anything is measured.
"""

import json
from contextlib import ExitStack

from redis import Redis

from tests.performance import capacity
from tests.performance.process import Server
from tests.performance.run import Run
from tests.performance.targets import Figure, figure
from tests.performance.variants import OURS

COUNTS = (1_000, 1_000_000)
# Keys: index, sequence, generation. Arguments: prefix of the items' keys, first and last number,
# an item's JSON with %s where its ID goes.
FILL = """
for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  local id = string.format('00000000-0000-4000-8000-%012d', number)
  redis.call('SET', ARGV[1] .. id, (string.gsub(ARGV[4], '%%s', id)))
  redis.call('ZADD', KEYS[1], number, id)
end
redis.call('SET', KEYS[2], ARGV[3])
redis.call('INCR', KEYS[3])
"""
AT_A_TIME = 5_000
ITEM = {
    "id": "%s",
    "name": "Tea",
    "description": "Green, loose",
    "quantity": 3,
    "tags": [],
    "version": 1,
    "created_at": "2026-01-01T00:00:00.000Z",
    "updated_at": "2026-01-01T00:00:00.000Z",
}


def page_milliseconds(run: Run) -> dict[str, Figure]:
    """Milliseconds of a page of twenty in the middle, at each of COUNTS, measured in turns."""
    readings: dict[int, list[float]] = {count: [] for count in COUNTS}
    with ExitStack() as running:
        redis = running.enter_context(Redis.from_url(run.stage.redis_url))
        running.callback(redis.flushdb, asynchronous=True)
        for count in COUNTS:
            _fill(redis, count)
        # Started afterwards: Redis would be too busy to answer them in time.
        services = {}
        for count in COUNTS:
            extra = {"REDIS_KEY_PREFIX": f"items{count}:"}
            services[count] = running.enter_context(run.stage.server(OURS, 1, extra=extra))
            path = f"/api/v1/items?limit=20&cursor=c{count - 10}"
            page = json.loads(run.stage.send(services[count], "GET", path))
            if len(page["items"]) != 10 or page["next_cursor"] is not None:
                raise RuntimeError(f"the service does not find the {count:,} items put into Redis")
            _page(run, services[count], count, 1)
        for _ in range(max(3, run.effort.rounds)):
            for count, service in services.items():
                readings[count].append(_page(run, service, count, run.effort.seconds / 2))
    return {f"{count:,}": figure(each) for count, each in readings.items()}


def _fill(redis: Redis, count: int) -> None:
    """Create `count` items under a prefix of their own."""
    keys = [f"items{count}:items:{name}" for name in ("index", "sequence", "gen")]
    for first in range(1, count + 1, AT_A_TIME):
        last = min(first + AT_A_TIME - 1, count)
        item = json.dumps(ITEM)
        redis.eval(FILL, len(keys), *keys, f"items{count}:item:", first, last, item)


def _page(run: Run, service: Server, count: int, seconds: float) -> float:
    """Milliseconds of a page when one client asks for it over and over."""
    path = f"/api/v1/items?limit=20&cursor=c{count // 2}"
    # Without the header, the second read of a page would cost what a cache entry costs.
    options = ("-t1", "-c1", "-HCache-Control: no-cache")
    return 1000 / capacity.measure(service.port, path, seconds, run.cores.load, *options)
