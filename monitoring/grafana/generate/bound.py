"""Binds every query to this service: adds matchers of `job` and `namespace` to its selectors."""

import re

from monitoring.grafana.generate.names import described

NAMESPACE = 'namespace=~"$namespace"'  # "All" is .*, which also matches series without the label
OF_THE_SERVICE = f'job="$job", {NAMESPACE}'
# By the beginning of a metric's name. The machine and the monitoring are in no namespace of ours.
MATCHERS = {
    "edge_": f'job="edge", {NAMESPACE}',
    "nginx_": f'job="nginx", {NAMESPACE}',
    "redis_": f'job="redis", {NAMESPACE}',
    "probe_": f'job=~"blackbox-.*", {NAMESPACE}',
    "container_": f'job="cadvisor", {NAMESPACE}',
    "process_": OF_THE_SERVICE,
    "node_": 'job="node"',
    "prometheus_": 'job="prometheus"',
    "alertmanager_": 'job="alertmanager"',
    "scrape_": NAMESPACE,
    "ALERTS": 'namespace=~"$namespace|"',
}
SERVICE = {name for name, _labels, _text in described()}
_SELECTOR = re.compile(r'"[^"]*"|(?<![\w:$])(?P<metric>[a-zA-Z][\w:]*)(?![\w:(])(?P<open>\{?)')


def bound(expr: str) -> str:
    """The expression, with matchers added to each of its metrics.

    Recorded series, which have a colon, are bound to their job by their rule.
    """
    return _SELECTOR.sub(_with_matchers, expr)


def _with_matchers(found: re.Match[str]) -> str:
    metric = found["metric"] or ""
    matchers = next((m for start, m in MATCHERS.items() if metric.startswith(start)), "")
    if re.sub("_(bucket|count|sum)$", "", metric) in SERVICE:
        matchers = OF_THE_SERVICE
    elif ":" in metric and metric != "slo:objective" or metric == "up":
        matchers = NAMESPACE
    if not matchers:
        return found[0]
    return f"{metric}{{{matchers}" + (", " if found["open"] else "}")
