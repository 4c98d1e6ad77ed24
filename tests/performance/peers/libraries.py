"""Flask alone in a process that has loaded the service's libraries: what none of its code can save.

A model is built, because pydantic loads the better part of itself for the first one.
"""

import importlib

from pydantic import BaseModel, BeforeValidator, Field

from tests.performance.peers import bare

for name in ("flask_session.base", "orjson", "prometheus_client", "pythonjsonlogger.orjson"):
    importlib.import_module(name)

app = bare.app


class Model(BaseModel):
    """Anything with a rule."""

    name: str = Field(min_length=1, pattern="^[a-z]+$")


RULE = BeforeValidator(str)
