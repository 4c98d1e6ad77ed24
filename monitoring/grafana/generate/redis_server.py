"""The rows of Redis Performance that Redis itself tells: room, work and what is on the disk."""

from typing import Any

from panels import series, states
from parts import BLUE, GREEN, GREY, ORANGE, RED, query


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
