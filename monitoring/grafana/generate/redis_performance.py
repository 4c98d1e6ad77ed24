"""Redis Performance: does the cache pay, does it fit, and is it quick."""

from typing import Any

from frame import choice, dashboard
from panels import series, stat, states
from parts import BLUE, GREEN, ORANGE, RED, YELLOW, good_below, query
from redis_server import commands, memory, persistence
from shared import cache_hits, redis_answers

CIRCUIT = {"0": ("closed", GREEN), "1": ("half-open", ORANGE), "2": ("open", RED)}


def redis() -> dict[str, Any]:
    return dashboard(
        "ds-redis",
        "Redis Performance",
        "Hit ratio, memory, evictions, commands, latency, clients, keyspace and persistence.",
        {
            "": numbers(),
            "As the service sees it": seen_by_service(),
            "Memory and keyspace": memory(),
            "Commands and clients": commands(),
            "Persistence": persistence(),
        },
        variables=(choice("instance", "Instance", "app_info"),),
    )


def numbers() -> list[Any]:
    return [
        redis_answers(),
        cache_hits(),
        stat(
            "Memory",
            "Used of maxmemory.",
            "max(redis_memory_used_bytes / (redis_memory_max_bytes > 0))",
            unit="percentunit",
            steps=good_below(0.8, 0.9),
            empty="no limit",
            decimals=1,
        ),
        stat(
            "Evictions",
            "Keys thrown out before their time, per second.",
            "sum(rate(redis_evicted_keys_total[$__rate_interval]))",
            unit="cps",
            steps=good_below(1, 10),
        ),
        stat(
            "Commands",
            "Commands per second.",
            "sum(rate(redis_commands_processed_total[$__rate_interval]))",
            unit="ops",
            decimals=0,
        ),
        stat(
            "Clients",
            "Open connections; the service holds one for each thread at most.",
            "sum(redis_connected_clients)",
        ),
        stat(
            "Keys",
            "Keys of all kinds: items, cache entries, sessions, bookkeeping.",
            "sum(redis_db_keys)",
        ),
        stat(
            "Runs for",
            "Time since Redis started.",
            "min(redis_uptime_in_seconds)",
            unit="s",
            decimals=0,
            line=False,
        ),
    ]


def seen_by_service() -> list[Any]:
    buckets = "sum by (le) (operation_le:cache_operation_duration_seconds_bucket:rate5m)"
    return [
        series(
            "Hit ratio",
            "Hits among the service's lookups, and among all keys that Redis was asked for.",
            query("cache:hit_ratio:rate5m", "service"),
            query(
                """sum(rate(redis_keyspace_hits_total[5m]))
                / (sum(rate(redis_keyspace_hits_total[5m])
                + rate(redis_keyspace_misses_total[5m])) > 0)""",
                "Redis, all keys",
            ),
            unit="percentunit",
            highest=1,
            colors={"service": GREEN, "Redis, all keys": BLUE},
            empty="idle",
        ),
        series(
            "Cache lookups and writes",
            "Operations per second by kind and outcome.",
            query(
                """sum by (operation, result) (
                rate(cache_requests_total{instance=~"$instance"}[$__rate_interval])) > 0""",
                "{{operation}} {{result}}",
            ),
            unit="ops",
            empty="idle",
        ),
        series(
            "Time a cache operation takes",
            "In the service, network included. Nothing waits longer than 250 ms for Redis.",
            *(
                query(f"histogram_quantile({share}, {buckets}) >= 0", name)
                for share, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
            ),
            unit="s",
            colors={"p50": GREEN, "p95": YELLOW, "p99": RED},
            empty="idle",
        ),
        states(
            "Circuit to Redis",
            "Open: the instance has given up on Redis for now and asks it once a second.",
            query('max by (instance) (cache_circuit_state{instance=~"$instance"})', "{{instance}}"),
            CIRCUIT,
            width=16,
            height=7,
        ),
        series(
            "Cache writes dropped",
            "Writes per second lost while Redis was away; the next read computes again.",
            query(
                """sum(rate(
                cache_writes_dropped_total{instance=~"$instance"}[$__rate_interval]))""",
                "dropped",
            ),
            unit="wps",
            height=7,
            colors={"dropped": ORANGE},
            at_least=1,
        ),
    ]
