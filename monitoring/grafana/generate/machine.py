"""The lower half of System Health: the containers and the machine they run on."""

from typing import Any

from panels import bars, series, table
from parts import BLUE, GREY, RED, column, good_below, query

NAMED = 'project=~"$project", service=~"$service"'
DISKS = 'fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660"'


def containers() -> list[Any]:
    def lines(title: str, description: str, expr: str, unit: str) -> Any:
        made = query(f"sum by (service) ({expr})", "{{service}}")
        return series(title, description, made, unit=unit, width=12, legend_right=True)

    def rate(what: str) -> str:
        return f"rate(container_{what}_total{{{NAMED}}}[$__rate_interval])"

    def now(expr: str) -> Any:
        return query(f"max by (project, service, name) ({expr})", instant=True)

    return [
        table(
            "Containers now",
            "Share of the memory limit, CPU time, and how often the CPU limit held it back.",
            {
                "CPU": (
                    now(f"container:cpu_usage_seconds:rate5m{{{NAMED}}}"),
                    column("percentunit", decimals=1),
                ),
                "Memory": (
                    now(f"container_memory_working_set_bytes{{{NAMED}}}"),
                    column("bytes"),
                ),
                "Of its limit": (
                    now(f"container:memory_used:ratio{{{NAMED}}}"),
                    column("percentunit", steps=good_below(0.8, 0.9), decimals=0),
                ),
                "Throttled": (
                    now(f"container:cpu_throttled:ratio_rate5m{{{NAMED}}}"),
                    column("percentunit", steps=good_below(0.1, 0.25), decimals=0),
                ),
                "Runs for": (
                    now(f"time() - container:start_time_seconds:max{{{NAMED}}}"),
                    column("s", decimals=0),
                ),
            },
            labels={"name": "Container", "service": "Service", "project": "Project"},
            sort="Memory",
            height=12,
            first_width=280,
        ),
        lines("CPU", "In cores, by service.", rate("cpu_usage_seconds"), "short"),
        lines(
            "Memory",
            "Working set by service: what cannot be taken back without killing.",
            f"container_memory_working_set_bytes{{{NAMED}}}",
            "bytes",
        ),
        lines("Network, received", "Bytes per second.", rate("network_receive_bytes"), "Bps"),
        lines("Network, sent", "Bytes per second.", rate("network_transmit_bytes"), "Bps"),
    ]


def node() -> list[Any]:
    device = 'device!~"lo|veth.*|br-.*|docker.*"'
    return [
        series(
            "CPU by use",
            "Of all cores: what they did when they were not idle.",
            query(
                """sum by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[$__rate_interval]))
                / scalar(count(node_cpu_seconds_total{mode="idle"}))""",
                "{{mode}}",
            ),
            unit="percentunit",
            stacked=True,
            highest=1,
        ),
        series(
            "Memory",
            "Used, and what can be given to whoever asks.",
            query("node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes", "used"),
            query("node_memory_MemAvailable_bytes", "available"),
            unit="bytes",
            stacked=True,
            colors={"used": BLUE, "available": GREY},
        ),
        series(
            "Load",
            "Processes that run or wait, averaged; above the number of cores they wait.",
            query("node_load1", "1 minute"),
            query("node_load15", "15 minutes"),
            query('count(node_cpu_seconds_total{mode="idle"})', "cores"),
            colors={"cores": RED},
            dashed=["cores"],
        ),
        bars(
            "Disks",
            "How full each file system is.",
            query(
                f"""1 - min by (mountpoint) (
                node_filesystem_avail_bytes{{{DISKS}}} / node_filesystem_size_bytes)""",
                "{{mountpoint}}",
                instant=True,
            ),
            unit="percentunit",
            steps=good_below(0.8, 0.95),
            highest=1,
        ),
        series(
            "Disk I/O",
            "Bytes per second, all disks.",
            query("sum(rate(node_disk_read_bytes_total[$__rate_interval]))", "read"),
            query("sum(rate(node_disk_written_bytes_total[$__rate_interval]))", "written"),
            unit="Bps",
        ),
        series(
            "Network I/O",
            "Bytes per second of the machine's own interfaces.",
            query(
                f"sum(rate(node_network_receive_bytes_total{{{device}}}[$__rate_interval]))",
                "received",
            ),
            query(
                f"sum(rate(node_network_transmit_bytes_total{{{device}}}[$__rate_interval]))",
                "sent",
            ),
            unit="Bps",
        ),
    ]
