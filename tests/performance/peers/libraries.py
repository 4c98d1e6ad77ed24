"""Flask alone in a process that has loaded the service's libraries: what none of its code can save.

A model is built, because pydantic loads the better part of itself for the first one.
"""

import flask_session.base  # noqa: F401
import orjson  # noqa: F401
import prometheus_client  # noqa: F401
import pythonjsonlogger.orjson  # noqa: F401
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue  # noqa: F401

from tests.performance.peers.bare import app as app


class Model(BaseModel):
    """Anything with a rule."""

    name: str = Field(min_length=1, pattern="^[a-z]+$")
