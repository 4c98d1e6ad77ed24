"""Redis Performance: hit ratio, memory, evictions, commands, latency, clients and persistence."""

# fmt: off
# A panel is a paragraph: title, description, query, settings.

from typing import Any

from monitoring.grafana.generate import common, names as n
from monitoring.grafana.generate.frame import choice, dashboard
from monitoring.grafana.generate.panels import (
    BLUE, GREEN, GREY, IDLE, ORANGE, QUANTILE_COLORS, RED, good_below, limit, quantiles,
    rate, series, stat, states)

CIRCUIT = {"0": ("closed", GREEN), "1": ("half-open", ORANGE), "2": ("open", RED)}


def build() -> dict[str, Any]:
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
        variables=(choice("instance", "Instance", n.APP_INFO),),
    )


def total(metric: str, labels: str = "") -> str:
    return f"sum({rate(metric + labels)})"


def numbers() -> list[Any]:
    return [
        common.redis_answers(),
        common.cache_hits(),
        stat("Memory", "Used share of maxmemory.",
             "max(redis_memory_used_bytes / (redis_memory_max_bytes > 0))", "percentunit",
             steps=good_below(0.8, 0.9), idle=("no limit", "max(redis_memory_max_bytes)"),
             decimals=1),
        stat("Evictions", "Keys evicted per second to free memory.",
             "sum(rate(redis_evicted_keys_total[2m]))", "cps", steps=good_below(1, 10)),
        stat("Commands", "Commands per second.",
             "sum(rate(redis_commands_processed_total[2m]))", "ops", decimals=0),
        stat("Clients", "Open connections; the service has at most one for each thread.",
             "sum(redis_connected_clients)"),
        stat("Keys", "Keys of all kinds: items, cache entries, sessions, bookkeeping.",
             "sum(redis_db_keys)"),
        stat("Uptime", "Time since Redis started.",
             "min(redis_uptime_in_seconds)", "s", decimals=0),
    ]


def seen_by_service() -> list[Any]:
    picked = '{instance=~"$instance"}'
    operations = rate(f"{n.CACHE_REQUESTS}{picked}")
    hits, misses = (f"rate(redis_keyspace_{what}_total[5m])" for what in ("hits", "misses"))
    return [
        series("Hit ratio", "Share of hits in the service's lookups, and in all reads of Redis.",
               {"service": common.HIT_RATIO,
                "Redis, all keys": f"sum({hits}) / (sum({hits} + {misses}) > 0)"},
               "percentunit", highest=1, colors={"service": GREEN, "Redis, all keys": BLUE},
               empty=IDLE),
        series("Cache lookups and writes", "Operations per second by kind and result.",
               {"{{operation}} {{result}}": f"sum by (operation, result) ({operations})"},
               "ops"),
        series("Time of a cache operation",
               "Measured in the service, network included. A request waits at most 250 ms for the "
               "cache.",
               quantiles(f"sum by (le) (operation_le:{n.CACHE_DURATION}_bucket:rate5m)"), "s",
               colors=QUANTILE_COLORS, steps=limit(0.25), at_least=0.3, empty=IDLE),
        states("Circuit to Redis",
               "Open: the instance does not use Redis and tries it once a second.",
               {"{{instance}}": f"max by (instance) ({n.CIRCUIT_STATE}{picked})"}, CIRCUIT,
               width=16, height=7),
        series("Cache writes dropped",
               "Writes per second lost while Redis was unavailable; the next read computes again.",
               {"dropped": total(n.CACHE_WRITES_DROPPED, picked)}, "wps", height=7,
               colors={"dropped": ORANGE}, at_least=1),
    ]


def memory() -> list[Any]:
    return [
        series("Memory",
               "Used by data and clients, allocated by the system, and the limit where eviction "
               "begins.",
               {"used": "sum(redis_memory_used_bytes)",
                "from the system": "sum(redis_memory_used_rss_bytes)",
                "limit": "sum(redis_memory_max_bytes > 0)"},
               "bytes", colors={"used": BLUE, "from the system": GREY, "limit": RED},
               dashed="limit"),
        series("Evicted and expired",
               "Keys per second that were evicted to free memory, and that expired.",
               {"evicted": total("redis_evicted_keys_total"),
                "expired": total("redis_expired_keys_total")},
               "cps", at_least=1, colors={"evicted": RED, "expired": BLUE}),
        series("Keys",
               "Keys with a TTL (cache), which may be evicted, and without one (all other data).",
               {"with a TTL": "sum(redis_db_keys_expiring)",
                "kept": "sum(redis_db_keys) - sum(redis_db_keys_expiring)"},
               stacked=True, at_least=5, colors={"with a TTL": BLUE, "kept": GREEN}),
    ]


def commands() -> list[Any]:
    mean = """topk(8, sum by (cmd) (rate(redis_commands_duration_seconds_total[5m]))
    / (sum by (cmd) (rate(redis_commands_total[5m])) > 0))"""
    return [
        series("Commands", "Commands per second, the eight most frequent.",
               {"{{cmd}}": f"topk(8, sum by (cmd) ({rate('redis_commands_total')}) > 0)"},
               "ops", width=12, legend_right=True),
        series("Time of a command", "Mean time in Redis, the eight slowest commands.",
               {"{{cmd}}": mean},
               "s", width=12, legend_right=True),
        series("Clients",
               "Open connections, those that wait in a blocking command, and refused ones.",
               {"connected": "sum(redis_connected_clients)",
                "blocked": "sum(redis_blocked_clients)",
                "refused in 5 min": "sum(increase(redis_rejected_connections_total[5m]))"},
               colors={"connected": BLUE, "blocked": ORANGE, "refused in 5 min": RED}),
        series("CPU of Redis", "Share of one core; one thread runs all commands.",
               {"user": total("redis_cpu_user_seconds_total"),
                "system": total("redis_cpu_sys_seconds_total")},
               "percentunit", stacked=True),
        series("Slow commands",
               "Commands of the last five minutes that took over 10 ms; SLOWLOG GET lists them.",
               {"slower than 10 ms": "sum(delta(redis_slowlog_last_id[5m]))"},
               colors={"slower than 10 ms": ORANGE}, at_least=1),
    ]


def persistence() -> list[Any]:
    writes = {"aof_last_write": "append", "aof_last_bgrewrite": "rewrite",
              "rdb_last_bgsave": "snapshot"}
    stalls = """max by (event_name) (redis_latency_spike_duration_seconds)
    or label_replace(0 * max(redis_up), "event_name", "none so far", "", "")
    unless on () redis_latency_spike_duration_seconds"""
    return [
        states("Last write to disk", "Whether the last append, rewrite and snapshot succeeded.",
               {"{{what}}": " or ".join(
                   f'label_replace(redis_{metric}_status, "what", "{what}", "", "")'
                   for metric, what in writes.items())},
               {"1": ("ok", GREEN), "0": ("failed", RED)}, width=8),
        series("Append-only file", "Its size now and after the last rewrite.",
               {"now": "sum(redis_aof_current_size_bytes)",
                "after the last rewrite": "sum(redis_aof_base_size_bytes)"},
               "bytes", colors={"now": BLUE, "after the last rewrite": GREY}),
        series("Last stall of each kind",
               "Duration of the last pause over 25 ms, by its cause (fork, fsync, a slow command).",
               {"{{event_name}}": stalls},
               "s", at_least=0.05),
    ]
