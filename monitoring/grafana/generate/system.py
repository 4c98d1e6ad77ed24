"""System Health: does every part run, and does the machine bear it."""

from typing import Any

from frame import choice, dashboard
from machine import DISKS, containers, node
from panels import series, stat, states, table
from parts import BLUE, GREEN, ORANGE, RED, column, good_below, query
from shared import certificate, probes, redis_answers

UP = {"1": ("up", GREEN), "0": ("down", RED)}
WORKERS = 'job="web", instance=~"$instance"'


def system() -> dict[str, Any]:
    return dashboard(
        "ds-system",
        "System Health",
        "Services, workers, containers and the machine under them.",
        {
            "": numbers(),
            "Services": services(),
            "Workers of the service": workers(),
            "Containers": containers(),
            "The machine": node(),
        },
        variables=(
            choice("instance", "Instance", "app_info"),
            choice("project", "Project", "container_start_time_seconds"),
            choice("service", "Service", "container_start_time_seconds"),
        ),
    )


def numbers() -> list[Any]:
    return [
        stat(
            "Alerts",
            "Alerts that fire now, the dead man's switch left out.",
            'count(ALERTS{alertstate="firing", alertname!="DeadMansSwitch"}) or vector(0)',
            steps=good_below(1, 3),
        ),
        stat(
            "Down",
            "Targets that Prometheus knows and that do not answer.",
            "count(up == 0) or vector(0)",
            steps=good_below(1, 3),
        ),
        probes(),
        redis_answers(),
        stat(
            "CPU",
            "Of all cores of the machine.",
            '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))',
            unit="percentunit",
            steps=good_below(0.7, 0.9),
            decimals=0,
        ),
        stat(
            "Memory",
            "Of the machine's memory, caches left out.",
            "max(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)",
            unit="percentunit",
            steps=good_below(0.8, 0.9),
            decimals=0,
        ),
        stat(
            "Disk",
            "How full the fullest file system is.",
            f"max(1 - node_filesystem_avail_bytes{{{DISKS}}} / node_filesystem_size_bytes)",
            unit="percentunit",
            steps=good_below(0.8, 0.95),
            decimals=0,
        ),
        certificate(),
    ]


def services() -> list[Any]:
    return [
        states(
            "Targets",
            "Whether each part answers Prometheus; of several replicas the worst.",
            query("min by (job) (up)", "{{job}}"),
            UP,
            height=11,
        ),
        table(
            "Alerts now",
            "What fires. The dead man's switch always does: it proves that alerting works.",
            {
                "Firing": (
                    query(
                        """count by (severity, component, alertname) (
                        ALERTS{alertstate="firing"})""",
                        instant=True,
                    ),
                    column("short"),
                )
            },
            labels={"alertname": "Alert", "severity": "Severity", "component": "Part"},
            sort="Severity",
            width=12,
            height=11,
        ),
    ]


def workers() -> list[Any]:
    name = "{{instance}} #{{worker}}"
    return [
        series(
            "CPU of each worker",
            "Of one core; a Python process cannot use more than one.",
            query(f"rate(process_cpu_seconds_total{{{WORKERS}}}[$__rate_interval])", name),
            unit="percentunit",
            steps=[(None, GREEN), (0.85, RED)],
        ),
        series(
            "Memory of each worker",
            "Resident memory; pages shared with other workers count for each.",
            query(f"process_resident_memory_bytes{{{WORKERS}}}", name),
            unit="bytes",
        ),
        series(
            "Open files",
            "Open files and sockets of each worker; the dashed line is the lowest limit.",
            query(f"process_open_fds{{{WORKERS}}}", name),
            query(f"min(process_max_fds{{{WORKERS}}})", "limit"),
            colors={"limit": RED},
            dashed=["limit"],
        ),
        series(
            "Threads of each worker",
            "Threads of the operating system.",
            query(f"process_threads{{{WORKERS}}}", name),
        ),
        series(
            "Workers that ended",
            "Recycled after their share of requests, or died unasked; per minute.",
            query(
                """sum by (reason) (
                rate(worker_exits_total{instance=~"$instance"}[$__rate_interval])) * 60""",
                "{{reason}}",
            ),
            colors={"died": RED, "recycled": BLUE},
            at_least=1,
        ),
        states(
            "Draining",
            "While an instance stops it takes no new requests but finishes those it has.",
            query('app_draining{instance=~"$instance"}', "{{instance}}"),
            {"0": ("serving", GREEN), "1": ("draining", ORANGE)},
            width=8,
        ),
    ]
