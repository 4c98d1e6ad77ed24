"""Watching the new version while it gets requests."""

import time

from . import Problem
from .gate import Limits, Prometheus, Reading, fault
from .progress import Progress
from .replicas import NEXT, Replicas

# Beyond a step's own time, for the scrape that covers its end: Prometheus scrapes every 15 s and
# learns of new replicas within 5 s.
SCRAPE_SECONDS = 45.0
# With too few requests to judge by, a step is watched for so many times its time.
PATIENCE = 3
LOOK_EVERY_SECONDS = 2.0
# One reading may fail on a busy machine; a Prometheus that stays silent ends the deploy.
SILENCE_SECONDS = 30.0


class Watch:
    """What becomes of the new version's requests, step by step.

    Its counters began at zero with its replicas. A reading counts only when every replica has been
    read since the step began: before that it may tell of the replicas of a deploy before.
    """

    def __init__(
        self, prometheus: Prometheus, replicas: Replicas, limits: Limits, progress: Progress
    ) -> None:
        self._prometheus = prometheus
        self._replicas = replicas
        self._limits = limits
        self._progress = progress
        self._before = Reading(0.0, 0.0, {})

    def run(self, seconds: float, *, insist: bool) -> None:
        """Return when the version has been good for so long after a shift of traffic.

        Args:
            insist: too few requests to judge by are a reason to refuse it.

        Raises:
            Problem: it is not good, or nobody can say.
        """
        started = self._prometheus.now()
        heard = time.monotonic()
        while True:
            self._replicas.check_alive(NEXT)
            try:
                fresh, covered = self._covered(started), self._covered(started + seconds)
                reading = self._prometheus.read(started)
                elapsed = self._prometheus.now() - started
                heard = time.monotonic()
            except Problem:
                if time.monotonic() - heard > SILENCE_SECONDS:
                    raise
                time.sleep(LOOK_EVERY_SECONDS)
                continue
            counted = reading.since(self._before)
            self._progress.waiting(f"{elapsed:.0f} of {seconds:g} s: {counted if fresh else '…'}")
            if fresh and (found := fault(counted, self._limits, final=covered)):
                raise Problem(found)
            if covered and self._enough(counted, elapsed, seconds, insist):
                self._progress.say(f"     it answered {counted}")
                self._before = reading
                return
            if not covered and elapsed > seconds + SCRAPE_SECONDS:
                raise Problem("Prometheus does not read all replicas of the new version")
            time.sleep(LOOK_EVERY_SECONDS)

    def _covered(self, end: float) -> bool:
        """Whether Prometheus has read every replica after that moment."""
        scrapes = self._prometheus.last_scrapes()
        return len(scrapes) == self._replicas.count and min(scrapes) >= end

    def _enough(self, counted: Reading, elapsed: float, seconds: float, insist: bool) -> bool:
        if counted.requests >= self._limits.requests or not insist:
            return True
        if elapsed > PATIENCE * seconds:
            raise Problem(
                f"only {counted.requests:.0f} requests reached the new version in {elapsed:.0f} s:"
                " too few to judge it by (--min-requests), use --strategy blue-green"
            )
        return False
