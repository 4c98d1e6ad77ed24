"""Sessions on the server: Flask-Session's rules for cookies, data in Redis.

Flask-Session's own Redis interface retries with a sleep and unpickles what it reads. Its documented
base class does neither, so only the three storage methods are written here. Two more differences:
- the session is read when the view uses it, not on every request that has a cookie;
- Redis holds a hash of the session ID, so that reading Redis does not give access to a session.
"""

import hashlib
import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
from flask import Flask, Request, Response
from flask.sessions import SessionMixin
from flask_session.base import ServerSideSession, ServerSideSessionInterface

from app.http import problems
from app.redis_client.client import RedisClient, RedisFailure
from app.utils import metrics

log = logging.getLogger(__name__)

# Store a session, unless it was stored before and has ended meanwhile (-1): else a request beside
# the one that ends it would bring it back. 1 for a new one, else 0.
# Keys: the session, the index, the ends of keys.
# ARGV: its content, now, the time when it ends, its hash, whether it was stored before.
_STORE = """
if ARGV[5] == '1' and redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[3], KEYS[1], ARGV[3] + 60, KEYS[2])
return redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
"""


# Keys: the session, the index. ARGV: its hash. It returns whether there was one.
_DELETE = """
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('DEL', KEYS[1])
"""


class LazySession(SessionMixin):
    """A session that is fetched when it is first used."""

    def __init__(self, interface: "RedisSessionInterface", app: Flask, request: Request) -> None:
        self._interface = interface
        self._request = (app, request)
        self.opened: ServerSideSession | None = None

    def open(self) -> ServerSideSession:
        if self.opened is None:
            self.opened = self._interface.fetch(*self._request)
        return self.opened

    @property
    def modified(self) -> bool:
        return self.opened is not None and self.opened.modified

    @modified.setter
    def modified(self, value: bool) -> None:
        self.open().modified = value

    def __getitem__(self, key: str) -> Any:
        return self.open()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.open()[key] = value

    def __delitem__(self, key: str) -> None:
        del self.open()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.open()))

    def __len__(self) -> int:
        return len(self.open())


class RedisSessionInterface(ServerSideSessionInterface):  # type: ignore[misc]
    def __init__(self, app: Flask, redis: RedisClient) -> None:
        super().__init__(app, key_prefix="", permanent=True)
        self._redis = redis
        # Sorted set of session hashes by the time they end, for counting those that have not.
        self._index = redis.key("sessions")
        self._store = redis.script(_STORE, replicated=True)
        self._delete = redis.script(_DELETE, replicated=True)

    def open_session(self, app: Flask, request: Request) -> LazySession:
        return LazySession(self, app, request)

    def fetch(self, app: Flask, request: Request) -> ServerSideSession:
        opened = super().open_session(app, request)
        # A cookie that names no session gets a new ID.
        known = opened.sid == request.cookies.get(self.get_cookie_name(app))
        opened.stored_as = opened.sid if known else None
        return opened

    def renew(self, session: LazySession) -> None:
        """Give the session a new ID, as is due when its rights change (OWASP: session fixation).

        Raises:
            Problem: 409, the session has ended meanwhile.
        """
        opened = session.open()
        deleted = self._delete_session(self._get_store_id(opened.sid))
        if opened.stored_as and not deleted:
            raise _ended()
        opened.sid, opened.stored_as = self._generate_sid(self.sid_length), None
        opened.modified = True

    def save_session(self, app: Flask, session: LazySession, response: Response) -> None:
        """Store what has changed and set the cookie.

        Flask calls this after the view and its error handlers. If Redis fails, the response is
        rewritten here: the caller must not think that the session was stored.
        """
        opened = session.opened
        if opened is None:
            return
        try:
            super().save_session(app, opened, response)
            if opened.modified and not opened:
                self._delete_cookie(app, response)
        except (RedisFailure, problems.Problem) as error:
            if not opened.modified:
                return  # Only its life would be extended: reads go on if Redis refuses writes.
            log.warning("Session not stored: %s", error)
            problems.rewrite(response, error)

    def _delete_cookie(self, app: Flask, response: Response) -> None:
        """With all attributes: without Secure, browsers ignore a cookie named `__Host-…`."""
        response.headers.remove("Set-Cookie")
        response.delete_cookie(
            self.get_cookie_name(app),
            path=self.get_cookie_path(app),
            secure=self.get_cookie_secure(app),
            httponly=self.get_cookie_httponly(app),
            samesite=self.get_cookie_samesite(app),
        )

    def _get_store_id(self, sid: str) -> str:
        return hashlib.sha256(sid.encode()).hexdigest()

    def _key(self, store_id: str) -> str:
        return self._redis.key("session", store_id)

    def _retrieve_session_data(self, store_id: str) -> dict[str, Any] | None:
        key = self._key(store_id)
        payload, ends_at = self._redis.read(("GET", key), ("ZSCORE", self._redis.ends_key, key))
        if payload is None or (ends_at and float(ends_at) <= time.time()):
            return None
        return dict(orjson.loads(payload))

    def _delete_session(self, store_id: str) -> bool:
        """Whether there was one."""
        return bool(self._delete([self._key(store_id), self._index], [store_id]))

    def _upsert_session(
        self, session_lifetime: timedelta, session: ServerSideSession, store_id: str
    ) -> None:
        now = time.time()
        content, ends_at = orjson.dumps(dict(session)), now + session_lifetime.total_seconds()
        stored_before = int(session.stored_as == session.sid)
        started = self._store(
            [self._key(store_id), self._index, self._redis.ends_key],
            [content, now, ends_at, store_id, stored_before],
        )
        if started < 0:
            raise _ended()
        if started:
            metrics.SESSIONS_STARTED.inc()


def _ended() -> problems.Problem:
    return problems.Problem(409, "This session has ended meanwhile. Send the request again.")
