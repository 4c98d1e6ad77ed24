"""Is the new version fit for more requests? Judged by what Prometheus has counted of it.

Read are the counters themselves, and differences between two readings. PromQL's rate() and
increase() would never see the first value of a series, and a version's first errors are such
values.
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import quote

from . import Problem
from .engine import Engine

# What visitors asked of the candidate; health checks would only dilute it.
SELECTOR = '{job="web",pool="web-next",route!~"/health.*"}'
NO_ACCIDENT = 5
API = "http://127.0.0.1:9090/api/v1/query?query="


@dataclass(frozen=True)
class Limits:
    """What a new version must keep to."""

    error_ratio: float
    """Answers of 500 and above among all, 0 to 1."""
    p99_ms: float
    requests: int
    """Fewer than these tell nothing."""


@dataclass(frozen=True)
class Reading:
    """Counters of the candidate, all replicas together."""

    requests: float
    errors: float
    buckets: dict[float, float]
    """Upper bound in seconds to the number of requests answered within it."""

    def since(self, earlier: "Reading") -> "Reading":
        """What has been counted between the two readings."""
        buckets = {
            bound: count - earlier.buckets.get(bound, 0.0) for bound, count in self.buckets.items()
        }
        return Reading(self.requests - earlier.requests, self.errors - earlier.errors, buckets)

    @property
    def error_ratio(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    @property
    def p99_ms(self) -> float:
        """As histogram_quantile() has it: linear within a bucket, the last finite bound beyond."""
        bounds = [(0.0, 0.0), *sorted(self.buckets.items())]
        rank = 0.99 * bounds[-1][1]
        if not rank:
            return 0.0
        for (lower, below), (upper, count) in pairwise(bounds):
            if count >= rank and upper != float("inf"):
                return 1000 * (lower + (upper - lower) * (rank - below) / (count - below))
        return 1000 * max(bound for bound, _count in bounds if bound != float("inf"))

    def __str__(self) -> str:
        errors = f"{self.errors:.0f} errors" if self.errors != 1 else "1 error"
        return f"{self.requests:.0f} requests, {errors}, p99 {self.p99_ms:.0f} ms"


def fault(reading: Reading, limits: Limits, *, final: bool) -> str | None:
    """What is wrong with the version, if there is enough to judge by and anything is.

    Args:
        final: at a step's end. Before that, only errors that are no accident count, and slowness
            not at all: the first requests fill caches.
    """
    if reading.requests < 0:
        return "a replica of the new version has restarted"
    if reading.requests < max(1, limits.requests):
        return None
    if reading.error_ratio > limits.error_ratio and (final or reading.errors >= NO_ACCIDENT):
        ratio = f"{reading.error_ratio:.1%} of {reading.requests:.0f} requests"
        return f"the new version fails {ratio}, and {limits.error_ratio:.1%} is the limit"
    if final and reading.p99_ms > limits.p99_ms:
        return f"the new version's p99 is {reading.p99_ms:.0f} ms, and {limits.p99_ms:g} the limit"
    return None


class Prometheus:
    """The stack's Prometheus, asked from inside its container: its port is for its host only."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        running = [one for one in engine.containers("prometheus") if one.status == "running"]
        self._id = running[0].id if running else None

    @property
    def running(self) -> bool:
        return self._id is not None

    def read(self, since: float) -> Reading:
        """The counters of what has been scraped since that moment, in seconds since 1970."""
        requests = scraped_since("http_requests_total", since)
        durations = scraped_since("http_request_duration_seconds_bucket", since)
        statuses = self._query(f"sum by (status) ({requests})")
        buckets = self._query(f"sum by (le) ({durations})")
        return Reading(
            requests=sum(statuses.values()),
            errors=sum(count for status, count in statuses.items() if status >= "5"),
            buckets={float(bound): count for bound, count in buckets.items()},
        )

    def last_scrapes(self) -> list[float]:
        """When each replica of the candidate was last read, in seconds since 1970."""
        up = 'up{job="web",pool="web-next"}'
        return list(self._query(f"timestamp({up}) and {up} == 1").values())

    def now(self) -> float:
        """The time by Prometheus' own clock."""
        return self._query("time()")[""]

    def _query(self, expression: str) -> dict[str, float]:
        """Value by the label that is left; the instance where several are."""
        url = API + quote(expression, safe="")
        answer = self._engine.docker("exec", self._id or "", "wget", "-q", "-O", "-", url)
        data = json.loads(answer)
        if data["status"] != "success":
            raise Problem(f"Prometheus refuses a query: {data.get('error')}")
        result = data["data"]["result"]
        if data["data"]["resultType"] == "scalar":
            return {"": float(result[1])}
        return {_label(one["metric"]): float(one["value"][1]) for one in result}


def scraped_since(metric: str, moment: float) -> str:
    """The candidate's series without those that a candidate before it has left behind.

    A container that gets the address of one just removed is the same target to Prometheus, which
    goes on for two scrapes with those series of the former that the new one does not have yet.
    """
    series = f"{metric}{SELECTOR}"
    return f"{series} and timestamp({series}) >= {moment:.3f}"


def _label(metric: dict[str, str]) -> str:
    return metric.get("instance") or next(iter(metric.values()), "")
