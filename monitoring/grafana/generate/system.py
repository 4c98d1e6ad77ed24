"""System Health: targets, alerts, workers, containers and the machine."""

# fmt: off
# A panel is a paragraph: title, description, query, settings.

from typing import Any

from monitoring.grafana.generate import names as n
from monitoring.grafana.generate.frame import certificate, choice, dashboard, probes, redis_answers
from monitoring.grafana.generate.panels import (
    BLUE, GREEN, GREY, ORANGE, RED, bars, column, good_below, limit, rate, series, stat, states,
    table)

NAMED = 'project=~"$project", service=~"$service"'
DISKS = 'fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660"'


def build() -> dict[str, Any]:
    return dashboard(
        "ds-system",
        "System Health",
        "Services, workers, containers and the machine.",
        {
            "": numbers(),
            "Services": services(),
            "Workers of the service": workers(),
            "Containers": containers(),
            "The machine": node(),
        },
        variables=(
            choice("instance", "Instance", n.APP_INFO),
            choice("project", "Project", "container_start_time_seconds"),
            choice("service", "Service", "container_start_time_seconds"),
        ),
    )


def numbers() -> list[Any]:
    def used(title: str, description: str, expr: str, warn: float, bad: float) -> Any:
        steps = good_below(warn, bad)
        return stat(title, description, expr, "percentunit", steps=steps, decimals=0)

    return [
        stat("Alerts", "Alerts that fire now, without the dead man's switch.",
             'count(ALERTS{alertstate="firing", alertname!="DeadMansSwitch"}) or vector(0)',
             steps=good_below(1, 3)),
        stat("Down", "Targets of Prometheus that do not answer.",
             "count(up == 0) or vector(0)", steps=good_below(1, 3)),
        probes(),
        redis_answers(),
        used("CPU", "Used share of the machine's cores.",
             f"""1 - avg({rate('node_cpu_seconds_total{mode="idle"}')})""", 0.7, 0.9),
        used("Memory", "Used share of the machine's memory, without caches.",
             "max(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)", 0.8, 0.9),
        used("Disk", "Used share of the fullest file system.",
             f"max(1 - node_filesystem_avail_bytes{{{DISKS}}} / node_filesystem_size_bytes)", 0.8,
             0.95),
        certificate(),
    ]


def services() -> list[Any]:
    alerts = 'count by (severity, component, alertname) (ALERTS{alertstate="firing"})'
    return [
        states("Targets", "Whether each part answers Prometheus; of several replicas the worst.",
               {"{{job}}": "min by (job) (up)"}, {"1": ("up", GREEN), "0": ("down", RED)},
               height=11),
        table("Alerts now",
              "Alerts that fire. The dead man's switch always does: it proves that alerting works.",
              {"Firing": column(alerts)},
              labels={"alertname": "Alert", "severity": "Severity", "component": "Part"},
              sort="Severity", width=12, height=11),
    ]


def workers() -> list[Any]:
    picked = '{job="web", instance=~"$instance"}'
    name = "{{instance}} #{{worker}}"
    exits = rate(f'{n.WORKER_EXITS}{{instance=~"$instance"}}')
    return [
        series("CPU of each worker",
               "Share of one core; a Python process cannot use more than one.",
               {name: rate(f"process_cpu_seconds_total{picked}")}, "percentunit",
               steps=limit(0.85)),
        series("Memory of each worker",
               "Resident memory; a page shared by workers counts for each of them.",
               {name: f"process_resident_memory_bytes{picked}"}, "bytes"),
        series("Open files",
               "Open files and sockets of each worker; the dashed line is the lowest limit.",
               {name: f"process_open_fds{picked}", "limit": f"min(process_max_fds{picked})"},
               colors={"limit": RED}, dashed="limit"),
        series("Threads of each worker", "Threads of the operating system.",
               {name: f"{n.PROCESS_THREADS}{picked}"}),
        series("Workers that ended",
               "Per minute: recycled after their share of requests, or died.",
               {"{{reason}}": f"sum by (reason) ({exits}) * 60"},
               colors={"died": RED, "recycled": BLUE}, at_least=1),
        states("Draining",
               "An instance that stops accepts no new requests and finishes the others.",
               {"{{instance}}": f'{n.APP_DRAINING}{{instance=~"$instance"}}'},
               {"0": ("serving", GREEN), "1": ("draining", ORANGE)}, width=8),
    ]


def containers() -> list[Any]:
    def lines(title: str, description: str, expr: str, unit: str) -> Any:
        queries = {"{{service}}": f"sum by (service) ({expr})"}
        return series(title, description, queries, unit, width=12, legend_right=True)

    def now(expr: str, unit: str, **more: Any) -> Any:
        return column(f"max by (project, service, name) ({expr}{{{NAMED}}})", unit, **more)

    def counted(what: str) -> str:
        return rate(f"container_{what}_total{{{NAMED}}}")

    memory = "container_memory_working_set_bytes"
    throttled = "container:cpu_throttled:ratio_rate5m"
    percent, near, held = "percentunit", good_below(0.8, 0.9), good_below(0.1, 0.25)
    return [
        table("Containers now",
              "CPU time, memory and its share of the limit, and throttling by the CPU limit.",
              {"CPU": now("container:cpu_usage_seconds:rate5m", percent, decimals=1),
               "Memory": now(memory, "bytes"),
               "Of its limit": now("container:memory_used:ratio", percent, steps=near, decimals=0),
               "Throttled": now(throttled, percent, steps=held, decimals=0),
               "Runs for": now("time() - container:start_time_seconds:max", "s", decimals=0)},
              labels={"name": "Container", "service": "Service", "project": "Project"},
              sort="Memory", height=12, first_width=280),
        lines("CPU", "In cores, by service.", counted("cpu_usage_seconds"), "short"),
        lines("Memory",
              "Working set by service: memory that the kernel cannot reclaim without killing.",
              f"{memory}{{{NAMED}}}", "bytes"),
        lines("Network, received", "Bytes per second.", counted("network_receive_bytes"), "Bps"),
        lines("Network, sent", "Bytes per second.", counted("network_transmit_bytes"), "Bps"),
    ]


def node() -> list[Any]:
    device = '{device!~"lo|veth.*|br-.*|docker.*"}'
    cores = 'count(node_cpu_seconds_total{mode="idle"})'
    free = f"node_filesystem_avail_bytes{{{DISKS}}} / node_filesystem_size_bytes"
    busy = rate('node_cpu_seconds_total{mode!="idle"}')
    return [
        series("CPU by use", "Share of all cores, by kind of use, without idle time.",
               {"{{mode}}": f"sum by (mode) ({busy}) / scalar({cores})"}, "percentunit",
               stacked=True, highest=1),
        series("Memory", "Used and available.",
               {"used": "node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes",
                "available": "node_memory_MemAvailable_bytes"},
               "bytes", stacked=True, colors={"used": BLUE, "available": GREY}),
        series("Load",
               "Processes that run or wait, on average; above the number of cores some wait.",
               {"1 minute": "node_load1", "15 minutes": "node_load15", "cores": cores},
               colors={"cores": RED}, dashed="cores"),
        bars("Disks", "Used share of each file system.",
             {"{{mountpoint}}": f"1 - min by (mountpoint) ({free})"}, "percentunit",
             steps=good_below(0.8, 0.95), highest=1),
        series("Disk I/O", "Bytes per second, all disks.",
               {"read": f"sum({rate('node_disk_read_bytes_total')})",
                "written": f"sum({rate('node_disk_written_bytes_total')})"},
               "Bps"),
        series("Network I/O", "Bytes per second of the machine's own interfaces.",
               {"received": f"sum({rate(f'node_network_receive_bytes_total{device}')})",
                "sent": f"sum({rate(f'node_network_transmit_bytes_total{device}')})"},
               "Bps"),
    ]
