"""Flask's SECRET_KEY, and for how long signatures of the key before it are accepted."""

import time
from collections.abc import Callable

from flask import Flask

from app.config import Settings


class SigningKeys:
    """Keeps `SECRET_KEY` and `SECRET_KEY_FALLBACKS` of an application up to date."""

    def __init__(
        self, app: Flask, settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._clock = clock
        self._settings = settings
        self._former: dict[str, float] = {}
        """When each replaced key ends."""
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Sign with this key from now on; the one before it stays valid for a while."""
        before, self._settings = self._settings.secret_key, settings
        self._former.pop(settings.secret_key, None)
        if before != settings.secret_key:
            self._former[before] = self._clock() + settings.secret_key_fallback_seconds
        self.expire()

    def expire(self) -> None:
        """Forget keys whose time is over; a periodic task."""
        now = self._clock()
        self._former = {key: end for key, end in self._former.items() if end > now}
        self._app.config["SECRET_KEY"] = self._settings.secret_key
        self._app.config["SECRET_KEY_FALLBACKS"] = [
            *self._former,
            *self._settings.secret_key_fallbacks,
        ]
