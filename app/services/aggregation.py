"""Turns counts into sums, ratios, rates and percentiles.

The name of a count is `<route>|errors` or `<route>|b<n>`, where n is the index of a bucket of
`DURATION_BUCKETS`. The cache's counts are `cache|hits` and `cache|misses`.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import inf
from typing import Any

from app.utils.metrics import DURATION_BUCKETS, duration_limits


def cache_ratio(counts: Mapping[str, int]) -> dict[str, Any]:
    """Hits, misses and hit ratio; the ratio is None before the first lookup."""
    hits, misses = counts.get("cache|hits", 0), counts.get("cache|misses", 0)
    ratio = round(hits / (hits + misses), 4) if hits + misses else None
    return {"hits": hits, "misses": misses, "ratio": ratio}


def quantile(limits: Sequence[float], buckets: list[int], fraction: float) -> float | None:
    """Estimate a quantile from counts per bucket, as Prometheus's histogram_quantile does.

    Args:
        limits: the upper limit of each bucket but the last.
        buckets: count per bucket; the last is above all limits.
        fraction: from 0 to 1.

    Returns:
        Seconds, interpolated within the bucket; the last finite edge when the quantile lies
        above it; None when nothing was counted.
    """
    cumulated = list(accumulate(buckets))
    if not cumulated[-1]:
        return None
    rank = fraction * cumulated[-1]
    index = bisect_left(cumulated, rank)
    if index >= len(limits):
        return limits[-1]
    lower = limits[index - 1] if index else 0.0
    below = cumulated[index - 1] if index else 0
    share = (rank - below) / buckets[index] if buckets[index] else 0.0
    return lower + (limits[index] - lower) * share


def total(hashes: list[list[bytes]]) -> Counter[str]:
    """The sum of counts that Redis holds in several hashes, each as names and numbers in turn."""
    sums: Counter[str] = Counter()
    for counts in hashes:
        for name, count in zip(counts[::2], counts[1::2]):
            sums[name.decode()] += int(count)
    return sums


def traffic(counts: Mapping[str, int], routes: list[str], seconds: float) -> dict[str, Any]:
    """Requests, errors, rate and latency of some routes together, over `seconds` seconds."""
    limits = duration_limits()
    buckets = [0] * (len(limits) + 1)
    # An instance with fewer routes may have finer buckets.
    for index, limit in enumerate((*DURATION_BUCKETS, inf)):
        here = bisect_left(limits, limit)
        buckets[here] += sum(counts.get(f"{route}|b{index}", 0) for route in routes)
    requests = sum(buckets)
    errors = sum(counts.get(f"{route}|errors", 0) for route in routes)
    latency = {f"p{percent}": quantile(limits, buckets, percent / 100) for percent in (50, 95, 99)}
    return {
        "requests": requests,
        "errors": errors,
        "error_ratio": round(errors / requests, 6) if requests else None,
        "requests_per_second": round(requests / seconds, 3) if seconds else 0.0,
        "latency_ms": {
            name: None if value is None else round(value * 1000, 3)
            for name, value in latency.items()
        },
    }


def totals(counts: Mapping[str, int]) -> dict[str, int]:
    """All requests and errors among the counts."""
    sums = Counter[str]()
    for name, count in counts.items():
        sums[name.rpartition("|")[2].rstrip("0123456789")] += count
    return {"requests": sums["b"], "errors": sums["errors"]}
