"""Is the new version fit for more requests? Judged by what Prometheus has counted of it.

It reads the counters themselves and compares two readings: PromQL's rate() and increase() never see
the first value of a series, and the first errors of a version are such values.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import quote

from command_error import CommandError

from .docker_client import ROOT, DockerClient

# Requests of users to the candidate, without health checks.
SELECTOR = '{job="web",pool="web-next",route!~"/health.*"}'
UP = 'up{job="web",pool="web-next"}'
API = "http://127.0.0.1:9090/api/v1/query?query="
# So many errors end a step at once; fewer are judged at its end.
CERTAIN_ERRORS = 5
# On top of a step's own time, for the scrape that covers its end: Prometheus scrapes every 15 s and
# finds new replicas within 5 s.
SCRAPE_SECONDS = 45.0
# With too few requests to judge by, a step is watched for so many times its time.
EXTENSION = 3
POLL_SECONDS = 2.0
# One query may fail on a busy machine; a Prometheus that stays silent ends the deploy.
SILENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Limits:
    """What a new version must keep to."""

    error_ratio: float  # answers of 500 and above among all, 0 to 1
    p99_ms: float
    requests: int  # fewer than these are not judged

    @classmethod
    def usual(cls) -> "Limits":
        """Those of monitoring/analysis.json, which hold on Kubernetes too."""
        text = (ROOT / "monitoring" / "analysis.json").read_text(encoding="utf-8")
        analysis = json.loads(text)
        asked = analysis["questions"]
        least = int(analysis["requests"]["least"])
        return cls(asked["errors"]["limit"], 1000 * asked["latency"]["limit"], least)


@dataclass(frozen=True)
class Reading:
    """Counters of the candidate, all replicas together."""

    requests: float
    errors: float
    buckets: dict[float, float]  # upper bound in seconds to the number answered within it

    def since(self, earlier: "Reading") -> "Reading":
        buckets = {
            bound: count - earlier.buckets.get(bound, 0.0) for bound, count in self.buckets.items()
        }
        return Reading(self.requests - earlier.requests, self.errors - earlier.errors, buckets)

    @property
    def p99_ms(self) -> float:
        """As histogram_quantile(): linear within a bucket, the last finite bound beyond."""
        bounds = [(0.0, 0.0), *sorted(self.buckets.items())]
        rank = 0.99 * bounds[-1][1]
        if not rank:
            return 0.0
        for (lower, below), (upper, count) in pairwise(bounds):
            if count >= rank and upper == math.inf:
                return 1000 * lower
            if count >= rank:
                return 1000 * (lower + (upper - lower) * (rank - below) / (count - below))
        return 1000 * bounds[-1][0]

    def __str__(self) -> str:
        errors = f"{self.errors:.0f} errors" if self.errors != 1 else "1 error"
        return f"{self.requests:.0f} requests, {errors}, p99 {self.p99_ms:.0f} ms"


def fault(reading: Reading, limits: Limits, *, final: bool) -> str | None:
    """What is wrong with the version, if there are enough requests to judge by.

    Args:
        final: at the end of a step. Before that, only CERTAIN_ERRORS and more count, and latency
            does not: the first requests fill caches.
    """
    if reading.requests < 0:
        return "a replica of the new version has restarted"
    if reading.requests < max(1, limits.requests):
        return None
    ratio = reading.errors / reading.requests
    if ratio > limits.error_ratio and (final or reading.errors >= CERTAIN_ERRORS):
        failed = f"{ratio:.1%} of {reading.requests:.0f} requests"
        return f"the new version fails {failed}, and {limits.error_ratio:.1%} is the limit"
    if final and reading.p99_ms > limits.p99_ms:
        return f"the new version's p99 is {reading.p99_ms:.0f} ms, and {limits.p99_ms:g} the limit"
    return None


class Prometheus:
    """The stack's Prometheus, queried from inside its container: its port is for its host only."""

    def __init__(self, docker: DockerClient) -> None:
        self._docker = docker
        self._ids = [one.id for one in docker.running("prometheus")]

    @property
    def running(self) -> bool:
        return bool(self._ids)

    def read(self, since: float) -> Reading:
        """The counters as scraped since that moment, in seconds since 1970."""
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
        """When each replica of the candidate was last scraped, in seconds since 1970."""
        return list(self._query(f"sum by (instance) (timestamp({UP}) and {UP} == 1)").values())

    def now(self) -> float:
        """The time by Prometheus' own clock."""
        return self._query("vector(time())")[""]

    def _query(self, expression: str) -> dict[str, float]:
        """Value by the one label that is left, or by the empty string."""
        url = API + quote(expression, safe="")
        answer = json.loads(self._docker.docker("exec", self._ids[0], "wget", "-qO-", url))
        result = answer["data"]["result"]
        return {"".join(one["metric"].values()): float(one["value"][1]) for one in result}


def scraped_since(metric: str, moment: float) -> str:
    """The candidate's series without those of a candidate before it.

    A container that gets the address of one just removed is the same target to Prometheus, which
    keeps for two scrapes those series of the former that the new one does not have yet.
    """
    series = f"{metric}{SELECTOR}"
    return f"{series} and timestamp({series}) >= {moment:.3f}"


class CanaryAnalysis:
    """Judges the new version step by step.

    Its counters began at zero with its replicas. A reading counts only when every replica has been
    scraped since the step began: before that it may be about the replicas of an earlier deploy.
    """

    def __init__(self, prometheus: Prometheus, limits: Limits, *, replicas: int) -> None:
        self._prometheus = prometheus
        self._limits = limits
        self._replicas = replicas
        self._previous = Reading(0.0, 0.0, {})

    def watch(self, seconds: float, *, insist: bool, check: Callable[[], None]) -> Reading:
        """Return what was counted, when the version has been good for so long.

        Args:
            insist: refuse a version that got too few requests to judge it.
            check: called before each query; raises CommandError if a replica has ended.

        Raises:
            CommandError: the version is not good, or Prometheus cannot say.
        """
        started, answered = self._prometheus.now(), time.monotonic()
        while True:
            check()
            try:
                scrapes, reading = self._prometheus.last_scrapes(), self._prometheus.read(started)
                elapsed = self._prometheus.now() - started
                answered = time.monotonic()
            except CommandError:
                if time.monotonic() - answered > SILENCE_SECONDS:
                    raise
                time.sleep(POLL_SECONDS)
                continue
            # Every replica has been scraped since the step began, or since it should have ended.
            scraped = min(scrapes) - started if len(scrapes) == self._replicas else -math.inf
            fresh, covered = scraped >= 0, scraped >= seconds
            counted = reading.since(self._previous)
            if fresh and (found := fault(counted, self._limits, final=covered)):
                raise CommandError(found)
            if covered and (counted.requests >= self._limits.requests or not insist):
                self._previous = reading
                return counted
            if covered and elapsed > EXTENSION * seconds:
                raise CommandError(
                    f"only {counted.requests:.0f} requests reached the new version in"
                    f" {elapsed:.0f} s: too few to judge it by (--min-requests), use"
                    " --strategy blue-green"
                )
            if not covered and elapsed > seconds + SCRAPE_SECONDS:
                raise CommandError("Prometheus does not scrape all replicas of the new version")
            time.sleep(POLL_SECONDS)
