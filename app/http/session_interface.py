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

    def open_session(self, app: Flask, request: Request) -> LazySession:
        return LazySession(self, app, request)

    def fetch(self, app: Flask, request: Request) -> ServerSideSession:
        return super().open_session(app, request)

    def renew(self, session: LazySession) -> None:
        """Give the session a new ID, as is due when its rights change (OWASP: session fixation)."""
        self.regenerate(session.open())

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
        except RedisFailure as error:
            log.warning("Session not stored: %s", error)
            problems.rewrite(response, problems.problem_for(error))

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
        payload = self._redis.read(("GET", self._key(store_id)))[0]
        return None if payload is None else dict(orjson.loads(payload))

    def _delete_session(self, store_id: str) -> None:
        self._redis.write(("DEL", self._key(store_id)), ("ZREM", self._index, store_id))

    def _upsert_session(
        self, session_lifetime: timedelta, session: ServerSideSession, store_id: str
    ) -> None:
        seconds = int(session_lifetime.total_seconds())
        now = time.time()
        _, started, *_ = self._redis.write(
            ("SET", self._key(store_id), orjson.dumps(dict(session)), "EX", seconds),
            ("ZADD", self._index, now + seconds, store_id),
            ("ZREMRANGEBYSCORE", self._index, "-inf", now),
            ("EXPIRE", self._index, seconds + 60),
        )
        if started:
            metrics.SESSIONS_STARTED.inc()
