"""Gunicorn's settings and the service itself, with every fifth request from outside failing."""

# pylint: disable=wildcard-import,unused-wildcard-import,invalid-name,import-outside-toplevel
import itertools
from typing import Any

from app.gunicorn_conf import *  # noqa: F401, F403

wsgi_app = "faulty:make()"


def make() -> Any:
    """The service; made in Gunicorn, after its settings have been read."""
    from flask import abort, request

    from app.main import app

    numbers = itertools.count(1)

    def fail_every_fifth() -> None:
        if "X-Forwarded-For" in request.headers and next(numbers) % 5 == 0:
            abort(500)

    app.before_request(fail_every_fifth)
    return app
