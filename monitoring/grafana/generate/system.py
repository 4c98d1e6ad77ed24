"""System Health: targets, alerts, workers, containers and the machine."""

# fmt: off
# A panel is a paragraph: title, description, query, settings.

from typing import Any

from monitoring.grafana.generate import common, names as n
from monitoring.grafana.generate.frame import choice, dashboard
from monitoring.grafana.generate.panels import (
    BLUE, GREEN, GREY, IDLE, ORANGE, RED, bars, cell, column, good_below, limit, link, or_zero,
    rate, series, stat, states, table)

NAMED = 'project=~"$project", service=~"$service"'
DISKS = 'fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660"'
GONE = "(group by (job) (max_over_time(up[6h])) unless on (job) up)"


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
        stat("Critical",
             "Critical alerts that fire now. No data: not even the dead man's switch fires.",
             or_zero('count(ALERTS{alertstate="firing", severity="critical"})',
                     'count(ALERTS{alertstate="firing", alertname="DeadMansSwitch"})'),
             steps=limit(1)),
        stat("Down",
             "Targets of Prometheus that do not answer, and jobs of the last six hours that have "
             "none.",
             f"sum(up == bool 0) + ({or_zero(f'count({GONE})', 'count(up)')})", steps=limit(1)),
        common.probes(),
        common.redis_answers(),
        used("CPU", "Used share of the machine's cores in five minutes.",
             '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[5m]))', 0.7, 0.9),
        used("Memory", "Used share of the machine's memory, without caches.",
             "max(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)", 0.8, 0.9),
        used("Disk", "Used share of the fullest file system.",
             f"max(1 - node_filesystem_avail_bytes{{{DISKS}}} / node_filesystem_size_bytes)", 0.8,
             0.95),
        common.certificate(),
    ]


def services() -> list[Any]:
    alerts = 'ALERTS_FOR_STATE and ignoring (alertstate) ALERTS{alertstate="firing"}'
    # The label `dashboard` is the last that fits. "watchdog" is sorted after "warning".
    for target, value, label, pattern in (
            ("severity", "watchdog", "severity", "none"),
            ("dashboard", "${1}", "component", "(.*)"),
            ("dashboard", "overview", "component", "web"),
            ("dashboard", "system", "component", "host|monitoring"),
            ("dashboard", "slo", "slo", ".+")):
        alerts = f'label_replace({alerts}, "{target}", "{value}", "{label}", "{pattern}")'
    labels = {"severity": "Severity", "alertname": "Alert", "instance": "Instance",
              "dashboard": "Dashboard"}
    then = "/d/ds-${__value.raw}?time=${__data.fields.Since.numeric}&time.window=3600000"
    silence = "/alerting/silence/new?alertmanager=Alertmanager&matcher=alertname%3D${__value.raw}"
    severities = {"critical": ("critical", RED), "warning": ("warning", ORANGE)}
    return [
        states("Targets", "Whether each part answers Prometheus; of several replicas the worst.",
               {"{{job}}": or_zero("min by (job) (up)", GONE)},
               {"1": ("up", GREEN), "0": ("down", RED)}, width=10, height=11),
        table("Alerts now",
              "Alerts that fire; the watchdog always does, to prove that alerting works. Click an "
              "alert to silence it, a dashboard to see the hour around its beginning.",
              {"Since": column(f"min by ({', '.join(labels)}) ({alerts}) * 1000",
                               "dateTimeFromNow")},
              labels=labels, sort="Severity", descending=False, width=14, height=11,
              cells={"Severity": cell(80, names=severities),
                     "Alert": cell(210, [link("Silence it", silence)]),
                     "Instance": cell(150),
                     "Dashboard": cell(100, [link("At its beginning",
                                                  then + "&${namespace:queryparam}")])}),
    ]


def workers() -> list[Any]:
    picked = '{instance=~"$instance"}'
    name = "{{instance}} #{{worker}}"
    exits = rate(n.WORKER_EXITS + picked)
    return [
        series("CPU of each worker",
               "Share of one core; a Python process cannot use more than one.",
               {name: rate(f"process_cpu_seconds_total{picked}")}, "percentunit",
               width=6, steps=limit(0.85)),
        series("Memory of each worker",
               "Resident memory; a page shared by workers counts for each of them.",
               {name: f"process_resident_memory_bytes{picked}"}, "bytes", width=6),
        series("Open files",
               "Open files and sockets of each worker; the dashed line is the lowest limit.",
               {name: f"process_open_fds{picked}", "limit": f"min(process_max_fds{picked})"},
               width=6, colors={"limit": RED}, dashed="limit"),
        series("Workers that ended",
               "Per minute: recycled after their share of requests, or died.",
               {"{{reason}}": f"sum by (reason) ({exits}) * 60"},
               width=6, colors={"died": RED, "recycled": BLUE}, at_least=1),
    ]


def containers() -> list[Any]:
    def lines(title: str, description: str, expr: str, unit: str) -> Any:
        queries = {"{{service}}": f"sum by (service) ({expr})"}
        return series(title, description, queries, unit, width=12, legend_right=True)

    def now(expr: str, unit: str, **more: Any) -> Any:
        return column(f"max by (name) ({expr}{{{NAMED}}})", unit, **more)

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
              labels={"name": "Container"},
              sort="Memory", height=12, cells={"Container": cell(280)}),
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
    zero = {"processes killed for memory": "node_vmstat_oom_kill",
            "rule evaluations missed": "prometheus_rule_group_iterations_missed_total",
            "rule evaluations failed": "prometheus_rule_evaluation_failures_total",
            "scrapes over their limit": "prometheus_target_scrapes_exceeded_sample_limit_total",
            "alerts not sent": "prometheus_notifications_dropped_total"}
    inodes = f"node_filesystem_files_free{{{DISKS}}} / (node_filesystem_files > 0)"
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
        bars("Limits",
             "Used share of each file system, its inodes, the kernel's tables, and of the samples "
             "that a scrape may have.",
             {"{{mountpoint}}": f"1 - min by (mountpoint) ({free})",
              "{{mountpoint}} inodes": f"1 - min by (mountpoint) ({inodes})",
              "connections tracked":
                  "max(node_nf_conntrack_entries / node_nf_conntrack_entries_limit)",
              "samples of {{job}}": """topk(2, max by (job) (
              scrape_samples_post_metric_relabeling / (scrape_sample_limit > 0)))"""},
             "percentunit", steps=good_below(0.8, 0.95), highest=1),
        series("Disk wait",
               "Mean time of a read and a write on the slowest disk. Redis' fsync waits as long.",
               {what: f"""max({rate(f'node_disk_{what}_time_seconds_total')}
               / ({rate(f'node_disk_{what}s_completed_total')} > 0))""" for what in
                ("read", "write")},
               "s", empty=IDLE),
        series("Network I/O", "Bytes per second of the machine's own interfaces.",
               {"received": f"sum({rate(f'node_network_receive_bytes_total{device}')})",
                "sent": f"sum({rate(f'node_network_transmit_bytes_total{device}')})"},
               "Bps"),
        series("Should be zero",
               "In 5 minutes. Prometheus' losses make alerts late or blind.",
               {what: f"sum(increase({metric}[5m]))" for what, metric in zero.items()},
               width=16, at_least=1),
        series("Clock", "Difference between the machine's clock and its time servers.",
               {"difference": "max(abs(node_timex_offset_seconds))"}, "s", steps=limit(0.05)),
    ]
