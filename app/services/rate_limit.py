"""A limit on requests per client, over all instances: a counter per window in Redis.

Off unless `RATE_LIMIT` is set, because nginx in front limits each client already; it is here for
services that run without it. With Redis away nobody is turned away.
"""

import hashlib
import time
from collections.abc import Callable

from app.utils.store import Client, Store, StoreFull, StoreUnavailable

PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class RateLimit:
    """At most `amount` requests per client and period.

    Args:
        store: where the counters live.
        rate: such as `600/minute`; empty for no limit.
        clock: seconds since the epoch; tests bring their own.
    """

    def __init__(self, store: Store, rate: str, clock: Callable[[], float] = time.time) -> None:
        amount, _, period = rate.partition("/")
        self._store = store
        self._amount = int(amount or 0)
        self._seconds = PERIODS.get(period, 0)
        self._clock = clock

    @property
    def active(self) -> bool:
        """Whether there is a limit at all."""
        return self._amount > 0

    def exceeded(self, client: str) -> int:
        """Count a request.

        Args:
            client: whatever tells one client from another; only its hash is kept.

        Returns:
            0 while the client is within the limit, else seconds until the window ends.
        """
        if not self._amount:
            return 0
        window, elapsed = divmod(self._clock(), self._seconds)
        digest = hashlib.sha256(client.encode("utf-8", "replace")).hexdigest()[:32]
        key = self._store.key("rate", digest, str(int(window)))

        def count(redis: Client) -> int:
            pipeline = redis.pipeline()
            pipeline.incr(key)
            pipeline.expire(key, self._seconds + 1)
            return int(pipeline.execute()[0])

        try:
            requests = self._store.run(count)
        except (StoreUnavailable, StoreFull):
            return 0
        return 0 if requests <= self._amount else max(1, int(self._seconds - elapsed))
