"""Secrets from files (NAME_FILE) are taken up when the files change, without a restart."""

import logging
import os
from collections.abc import Callable

from app.config import SECRETS, Settings, SettingsError

# Not SECRET_KEY, which takes a restart: users in the statistics are hashed with it.
_WATCHED = tuple(name for name in SECRETS if name != "SECRET_KEY")

log = logging.getLogger(__name__)


class SecretFiles:
    """`refresh` is a periodic task: it calls `take_up` with new settings after a change."""

    def __init__(self, settings: Settings, take_up: Callable[[Settings], None]) -> None:
        names = (os.environ.get(f"{name}_FILE", "").strip() for name in _WATCHED)
        self._paths = [name for name in names if name]
        self._settings = settings
        self._take_up = take_up
        self._seen = self._look()

    def refresh(self) -> None:
        """Take up the secrets if a file has changed; if one is unusable, the old ones stay."""
        found = self._look()
        if found == self._seen:
            return
        self._seen = found
        try:
            settings = Settings.from_env()
            for name in _WATCHED:
                # A file that is being written may be empty, which would open writing to all.
                if getattr(self._settings, name.lower()) and not getattr(settings, name.lower()):
                    raise SettingsError(f"{name}_FILE: is empty")
        except SettingsError as error:
            log.error("Secrets have changed and are not used: %s", error)
            return
        self._settings = settings
        self._take_up(settings)
        log.info("Secrets have changed and are used from now on")

    def _look(self) -> list[tuple[int, ...] | None]:
        """What tells versions of a file apart. Kubernetes swaps the folder that a link leads to."""
        return [_version(path) for path in self._paths]


def _version(path: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
