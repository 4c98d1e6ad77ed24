"""Sessions on the server: Flask-Session's rules for cookies, our one way to Redis for the data.

Flask-Session's own Redis interface retries with a sleep and reads pickles; its documented base
class does neither, so only the three storage methods are ours. Two more differences:
- the session is read when the view touches it, not on every request that brings a cookie;
- Redis holds a hash of the session ID, so that reading Redis does not give anybody's session.
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

from app.utils import errors, metrics
from app.utils.store import Client, Store, StoreFull, StoreUnavailable

log = logging.getLogger(__name__)


class LazySession(SessionMixin):
    """A session that is fetched when it is first looked at."""

    def __init__(self, interface: "RedisSessions", app: Flask, request: Request) -> None:
        self._interface = interface
        self._opening = (app, request)
        self._opened: ServerSideSession | None = None

    @property
    def opened(self) -> ServerSideSession | None:
        """The session if anybody has looked at it."""
        return self._opened

    def open(self) -> ServerSideSession:
        """The session, fetched now if it was not before."""
        if self._opened is None:
            self._opened = self._interface.fetch(*self._opening)
        return self._opened

    @property
    def modified(self) -> bool:
        """Whether it will be stored."""
        return self._opened is not None and self._opened.modified

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


class RedisSessions(ServerSideSessionInterface):  # type: ignore[misc]
    """Where sessions live, and the rules of their cookie."""

    def __init__(self, app: Flask, store: Store) -> None:
        super().__init__(app, key_prefix="", permanent=True)
        self._store = store

    def open_session(self, app: Flask, request: Request) -> LazySession:
        """A session that has not been fetched yet."""
        return LazySession(self, app, request)

    def fetch(self, app: Flask, request: Request) -> ServerSideSession:
        """The session that the request's cookie names, else a new one.

        Raises:
            StoreUnavailable: Redis is away.
        """
        return super().open_session(app, request)

    def renew(self, session: LazySession) -> None:
        """Give the session a new ID, as is due when its rights change (OWASP: fixation)."""
        self.regenerate(session.open())

    def save_session(self, app: Flask, session: LazySession, response: Response) -> None:
        """Store what has changed and set the cookie.

        Flask calls this after the view and its error handlers are done, so when Redis is away
        the answer is rewritten here: the caller must not think that the session was kept.
        """
        opened = session.opened
        if opened is None:
            return
        try:
            super().save_session(app, opened, response)
            if opened.modified and not opened:
                self._take_cookie_back(app, response)
        except (StoreUnavailable, StoreFull) as error:
            log.warning("Session not stored: %s", error)
            errors.rewrite(response, errors.problem_for(error))

    def _take_cookie_back(self, app: Flask, response: Response) -> None:
        """Once more with all attributes: without Secure, browsers ignore what says `__Host-`."""
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
        return self._store.key("session", store_id)

    @property
    def _index(self) -> str:
        """Sorted set of session hashes by the time they end, for counting the living ones."""
        return self._store.key("sessions")

    def _retrieve_session_data(self, store_id: str) -> dict[str, Any] | None:
        body = self._store.run(lambda redis: redis.get(self._key(store_id)))
        return None if body is None else dict(orjson.loads(body))

    def _delete_session(self, store_id: str) -> None:
        def delete(redis: Client) -> None:
            pipeline = redis.pipeline()
            pipeline.delete(self._key(store_id))
            pipeline.zrem(self._index, store_id)
            pipeline.execute()

        self._store.run(delete)

    def _upsert_session(
        self, session_lifetime: timedelta, session: ServerSideSession, store_id: str
    ) -> None:
        seconds = int(session_lifetime.total_seconds())
        now = time.time()

        def store(redis: Client) -> bool:
            pipeline = redis.pipeline()
            pipeline.set(self._key(store_id), orjson.dumps(dict(session)), ex=seconds)
            pipeline.zadd(self._index, {store_id: now + seconds})
            pipeline.zremrangebyscore(self._index, "-inf", now)
            pipeline.expire(self._index, seconds + 60)
            return bool(pipeline.execute()[1])

        if self._store.run(store):
            metrics.SESSIONS_STARTED.inc()
