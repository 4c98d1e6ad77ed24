"""Numbers that several dashboards show, and their queries."""

# fmt: off
# A panel is a paragraph: title, description, query, settings.

from typing import Any

from monitoring.grafana.generate import names as n
from monitoring.grafana.generate.panels import (
    GREEN, RED, good_above, good_below, or_zero, quantiles, stat)

# What users got, as nginx counts it: the service cannot count what it does not answer.
USERS = 'edge_requests_total{traffic="users"}'
FAILED = 'edge_requests_total{traffic="users", status=~"5.."}'
LOOKUPS = f'sum(rate({n.CACHE_REQUESTS}{{operation=~"get|get_or_set"}}[2m]))'
HIT_RATIO = f"""sum(rate({n.CACHE_REQUESTS}{{operation=~"get|get_or_set", result="hit"}}[2m]))
/ ({LOOKUPS} > 0)"""


def errors() -> Any:
    return stat("Errors",
                "Share of users' requests of two minutes answered with a 5xx, by the service or by "
                "nginx. The objective allows 0.1 % over 30 days.",
                share(FAILED, USERS), "percentunit", steps=good_below(0.001, 0.01), decimals=2)


def share(part: str, whole: str) -> str:
    """A counter's share of another; zero without requests, no value without the source."""
    whole = f"sum(rate({whole}[2m]))"
    return or_zero(f"sum(rate({part}[2m])) / ({whole} > 0)", whole)


def latency(title: str) -> Any:
    buckets = 'edge_upstream_duration_seconds_bucket{traffic="users", status_class!="5xx"}'
    return stat(title, "p95: 95 % of users' requests, errors excluded, were answered faster.",
                quantiles(f"sum by (le) (rate({buckets}[2m]))")["p95"], "s",
                steps=good_below(0.1, 0.25), idle=("no answers", f"sum(rate({USERS}[2m]))"))


def probes() -> Any:
    return stat("Probes", "/health through nginx, over HTTP and TLS: the worse of the two.",
                "min(probe_success)",
                names={"1": ("passing", GREEN), "0": ("failing", RED)})


def certificate() -> Any:
    return stat("Certificate", "Days until the first certificate in nginx's chain ends.",
                "(min(probe_ssl_earliest_cert_expiry) - time()) / 86400", "suffix: days",
                steps=good_above(7, 14), decimals=0)


def cache_hits() -> Any:
    return stat("Cache hits",
                "Share of hits among the cache lookups of the last two minutes. A lookup that "
                "Redis did not answer is not a hit.",
                HIT_RATIO, "percentunit", steps=good_above(0.5, 0.8), idle=("idle", LOOKUPS),
                decimals=0)


def redis_answers() -> Any:
    return stat("Redis", "Whether Redis answers its exporter.",
                or_zero("min(redis_up)", 'max(up{job="redis"})'),
                names={"1": ("up", GREEN), "0": ("down", RED)})
