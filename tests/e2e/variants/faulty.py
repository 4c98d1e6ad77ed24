"""The service, with every fifth request from outside failing: `python -m faulty`."""

import itertools

from flask import Flask, abort, request

from app.config import Settings
from app.factory import create_app
from app.main import main
from app.server import gunicorn_server


def create_faulty_app(settings: Settings) -> Flask:
    application = create_app(settings)
    numbers = itertools.count(1)

    def fail_every_fifth() -> None:
        if "X-Forwarded-For" in request.headers and next(numbers) % 5 == 0:
            abort(500)

    application.before_request(fail_every_fifth)
    return application


if __name__ == "__main__":
    setattr(gunicorn_server, "create_app", create_faulty_app)
    main()
