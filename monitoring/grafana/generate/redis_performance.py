"""Redis Performance: does the cache pay, does it fit, and is it quick."""

from typing import Any

from frame import choice, dashboard
from panels import series, stat, states
from parts import BLUE, GREEN, GREY, ORANGE, RED, YELLOW, good_below, query
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


def memory() -> list[Any]:
    return [
        series(
            "Memory",
            "Used by data and clients, taken from the system, and the limit at which eviction "
            "begins.",
            query("sum(redis_memory_used_bytes)", "used"),
            query("sum(redis_memory_used_rss_bytes)", "from the system"),
            query("sum(redis_memory_max_bytes > 0)", "limit"),
            unit="bytes",
            colors={"used": BLUE, "from the system": GREY, "limit": RED},
            dashed=["limit"],
        ),
        series(
            "Evicted and expired",
            "Keys per second that were thrown out for room, and that reached their end.",
            query("sum(rate(redis_evicted_keys_total[$__rate_interval]))", "evicted"),
            query("sum(rate(redis_expired_keys_total[$__rate_interval]))", "expired"),
            unit="cps",
            at_least=1,
            colors={"evicted": RED, "expired": BLUE},
        ),
        series(
            "Keys",
            "Keys with an end (cache, sessions), which may be evicted, and without (items).",
            query("sum(redis_db_keys_expiring)", "with an end"),
            query("sum(redis_db_keys) - sum(redis_db_keys_expiring)", "kept"),
            stacked=True,
            colors={"with an end": BLUE, "kept": GREEN},
        ),
    ]


def commands() -> list[Any]:
    return [
        series(
            "Commands",
            "Per second, those that were ever among the eight most frequent.",
            query(
                "topk(8, sum by (cmd) (rate(redis_commands_total[$__rate_interval])) > 0)",
                "{{cmd}}",
            ),
            unit="ops",
            width=12,
            legend_right=True,
        ),
        series(
            "Time a command takes",
            "Mean time in Redis itself, those that were ever among the eight slowest.",
            query(
                """topk(8, sum by (cmd) (rate(redis_commands_duration_seconds_total[5m]))
                / (sum by (cmd) (rate(redis_commands_total[5m])) > 0))""",
                "{{cmd}}",
            ),
            unit="s",
            width=12,
            legend_right=True,
        ),
        series(
            "Clients",
            "Open connections, those waiting in a blocking command, and refused ones.",
            query("sum(redis_connected_clients)", "connected"),
            query("sum(redis_blocked_clients)", "blocked"),
            query("sum(increase(redis_rejected_connections_total[5m]))", "refused in 5 min"),
            width=6,
            colors={"connected": BLUE, "blocked": ORANGE, "refused in 5 min": RED},
        ),
        series(
            "Network",
            "Bytes per second.",
            query("sum(rate(redis_net_input_bytes_total[$__rate_interval]))", "received"),
            query("sum(rate(redis_net_output_bytes_total[$__rate_interval]))", "sent"),
            unit="Bps",
            width=6,
        ),
        series(
            "CPU of Redis",
            "Of one core; commands are run by one thread.",
            query("sum(rate(redis_cpu_user_seconds_total[$__rate_interval]))", "user"),
            query("sum(rate(redis_cpu_sys_seconds_total[$__rate_interval]))", "system"),
            unit="percentunit",
            width=6,
            stacked=True,
        ),
        series(
            "Slow commands",
            "Commands that took longer than 10 ms, in five minutes; SLOWLOG GET names them.",
            query("sum(delta(redis_slowlog_last_id[5m]))", "slower than 10 ms"),
            width=6,
            colors={"slower than 10 ms": ORANGE},
            at_least=1,
        ),
    ]


def persistence() -> list[Any]:
    done = {"1": ("ok", GREEN), "0": ("failed", RED)}
    return [
        states(
            "Last write to disk",
            "Whether the last append, rewrite and snapshot succeeded.",
            query(
                """label_replace(redis_aof_last_write_status, "what", "append", "", "")
                or label_replace(redis_aof_last_bgrewrite_status, "what", "rewrite", "", "")
                or label_replace(redis_rdb_last_bgsave_status, "what", "snapshot", "", "")""",
                "{{what}}",
            ),
            done,
            width=8,
        ),
        series(
            "Append-only file",
            "Its size, and what it had after the last rewrite.",
            query("sum(redis_aof_current_size_bytes)", "now"),
            query("sum(redis_aof_base_size_bytes)", "after the last rewrite"),
            unit="bytes",
            colors={"now": BLUE, "after the last rewrite": GREY},
        ),
        series(
            "Last stall of each kind",
            "How long Redis last stood still for more than 25 ms, and what for (fork, fsync, a "
            "slow command).",
            query(
                """max by (event_name) (redis_latency_spike_duration_seconds)
                or label_replace(vector(0), "event_name", "none so far", "", "")
                unless on () redis_latency_spike_duration_seconds""",
                "{{event_name}}",
            ),
            unit="s",
            at_least=0.05,
        ),
    ]
