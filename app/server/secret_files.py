"""Secrets from files (NAME_FILE) are taken up when the files change, without a restart."""

import logging
import os
import threading
import time
from collections.abc import Callable

from redis.exceptions import RedisError

from app.config import Settings, SettingsError, read_secret, secret_files
from app.redis_client.trouble import code

# A file that was changed less than this ago may still be written to.
SETTLE_SECONDS = 1.0
# Redis is asked about the same refused login this often.
ASK_AGAIN_SECONDS = 0.5
# Valid together only. Redis says whether they are complete, so they need not settle.
_LOGIN = {"REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD"}

log = logging.getLogger(__name__)


class SecretFiles:  # pylint: disable=too-many-instance-attributes
    """`refresh` is a periodic task: it calls `take_up` with new settings after a change.

    A file that is gone, unreadable, empty or unusable changes nothing: the last good value stays.
    """

    def __init__(
        self,
        settings: Settings,
        take_up: Callable[[Settings], None],
        check_login: Callable[[Settings], None] = lambda settings: None,
    ) -> None:
        """`check_login` raises `RedisError` unless Redis accepts the user and the passwords."""
        self._paths = secret_files()
        self._take_up = take_up
        self._check_login = check_login
        self._settings = settings
        self._used = {name: read_secret(name, path) for name, path in self._paths.items()}
        self._seen: dict[str, str] = {}  # not yet: one may have changed since `settings` were read
        self._named: dict[str, str] = {}
        self._refused: tuple[float, dict[str, str]] = (0.0, {})
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Take up the secrets whose files have changed."""
        with self._lock:
            self._refresh(set(self._paths))

    def renew_login(self) -> None:
        """Redis refused the login: take up a newer one now, if there is one."""
        # pylint: disable-next=consider-using-with  # it has no timeout
        if _LOGIN & set(self._paths) and self._lock.acquire(timeout=1):
            try:
                self._refresh(_LOGIN & set(self._paths))
            finally:
                self._lock.release()

    def _refresh(self, names: set[str]) -> None:
        found = {name: text for name in sorted(names) if (text := self._read(name)) is not None}
        for name in found:
            if found[name] == self._seen.get(name):
                self._named.pop(name, None)
        changed = {name: text for name, text in found.items() if text != self._seen.get(name)}
        login = {name: changed.pop(name) for name in _LOGIN & changed.keys()}
        before = self._settings
        for change in (*({name: text} for name, text in changed.items()), login):
            if change and self._is_usable(change):
                self._used |= change
                self._seen |= change
        if self._settings != before:
            self._take_up(self._settings)
            log.info("Secrets have changed and are used from now on")

    def _read(self, name: str) -> str | None:
        path = self._paths[name]
        try:
            if name not in _LOGIN and 0 <= time.time() - os.stat(path).st_mtime < SETTLE_SECONDS:
                return None
        except OSError:
            pass  # reading it says why
        try:
            return read_secret(name, path)
        except SettingsError as error:
            self._name(name, str(error))
            return None

    def _is_usable(self, change: dict[str, str]) -> bool:
        """Put a change into `_settings`, if it can be used."""
        until, refused = self._refused
        if refused == change and time.monotonic() < until:
            return False
        try:
            settings = Settings.from_env(self._used | change)
            if _login(settings) != _login(self._settings):
                self._check_login(settings)
        except SettingsError as error:
            problem = str(error)
        except RedisError as error:
            self._refused = time.monotonic() + ASK_AGAIN_SECONDS, change
            problem = f"{'_FILE, '.join(sorted(change))}_FILE: Redis answers {code(error)}"
        else:
            for name in change:
                self._named.pop(name, None)
            # Nothing else: a key that nobody has set is another one in each Settings.
            new = {name.lower(): getattr(settings, name.lower()) for name in change}
            self._settings = self._settings.model_copy(update=new)
            return True
        self._name(min(change), problem)
        return False

    def _name(self, name: str, problem: str) -> None:
        if self._named.get(name) != problem:
            self._named[name] = problem
            log.error("Secrets have changed and are not used: %s", problem)


def _login(settings: Settings) -> list[str | None]:
    return [getattr(settings, name.lower()) for name in sorted(_LOGIN)]
