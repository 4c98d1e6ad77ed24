"""Gunicorn's settings of the service, except that each worker loads the application by itself."""

# pylint: disable=wildcard-import,unused-wildcard-import,invalid-name
from app.gunicorn_conf import *  # noqa: F401,F403

preload_app = False
