"""A limit on requests for each client, over all instances: a counter for each window in Redis.

Off unless `RATE_LIMIT` is set, because nginx limits each client already. It is for services that
run without nginx. While Redis is unavailable, no request is refused.
"""

import hashlib
import time
from collections.abc import Callable

from app.http.request_id import network_of
from app.redis_client.client import RedisClient, RedisFailure

PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class RateLimit:
    """Counts requests of each client against a rate such as `600/minute`; empty for no limit."""

    def __init__(
        self, redis: RedisClient, rate: str, clock: Callable[[], float] = time.time
    ) -> None:
        amount, _, period = rate.partition("/")
        self._redis = redis
        self._amount = int(amount or 0)
        self._seconds = PERIODS.get(period, 0)
        self._clock = clock

    @property
    def active(self) -> bool:
        return self._amount > 0

    def exceeded(self, client: str) -> int:
        """Count a request of a client, of whose name only a hash is kept.

        Returns:
            0 while the client is within the limit, else seconds until the window ends.
        """
        window, elapsed = divmod(self._clock(), self._seconds)
        digest = hashlib.sha256(network_of(client).encode("utf-8", "replace")).hexdigest()[:32]
        key = self._redis.key("rate", digest, str(int(window)))
        try:
            requests, _ = self._redis.write(("INCR", key), self._redis.ends(key, self._seconds + 1))
        except RedisFailure:
            return 0
        return 0 if requests <= self._amount else max(1, int(self._seconds - elapsed))
