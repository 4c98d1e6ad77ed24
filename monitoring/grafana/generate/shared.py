"""Numbers that stand on more than one dashboard."""

from typing import Any

from panels import stat
from parts import GREEN, RED, good_above


def probes() -> Any:
    return stat(
        "Probes",
        "/health through nginx, over HTTP and TLS: the worse of the two.",
        "min(probe_success)",
        names={"1": ("passing", GREEN), "0": ("failing", RED)},
        line=False,
    )


def certificate() -> Any:
    return stat(
        "Certificate",
        "Time until the first certificate in nginx's chain ends.",
        "(min(probe_ssl_earliest_cert_expiry) - time()) / 86400",
        unit="suffix: days",
        steps=good_above(7, 14),
        decimals=0,
        line=False,
    )


def cache_hits() -> Any:
    return stat(
        "Cache hits",
        "Share of the service's cache lookups of the last five minutes that were hits.",
        "cache:hit_ratio:rate5m",
        unit="percentunit",
        steps=good_above(0.5, 0.8),
        empty="idle",
        decimals=0,
    )


def redis_answers() -> Any:
    return stat(
        "Redis",
        "Whether Redis answers its exporter.",
        "min(redis_up)",
        names={"1": ("up", GREEN), "0": ("down", RED)},
        line=False,
    )
