"""An application with an endpoint that uses all that `operation` offers."""

from typing import Annotated

from flask import Blueprint, Flask, Response
from pydantic import BaseModel, ConfigDict, Field

from app.factory import create_app
from app.http import json_codec
from app.http.openapi import Header, ResponseSpec, operation
from app.http.responses import json_response
from tests.support.app_parts import TOKEN, make_settings

LIMIT = 2000


class ThingName(BaseModel):
    """The thing's name."""

    name: str = Field(pattern=r"^[a-z]+$", description="Which thing.")


class Thing(BaseModel):
    """A thing."""

    model_config = ConfigDict(extra="forbid", strict=True)

    size: Annotated[int, Field(ge=0), json_codec.WHOLE]


class Choice(BaseModel):
    """How often."""

    model_config = ConfigDict(extra="forbid")

    times: int = Field(default=1, ge=1, le=3)


def app_with_things() -> Flask:
    """The application with one more endpoint, and tokens."""
    app = create_app(make_settings(API_TOKENS=TOKEN, MAX_CONTENT_LENGTH=str(LIMIT)))
    things = Blueprint("things", __name__, url_prefix="/things")

    @things.put("/<name>")
    @operation(
        "Put a thing",
        path=ThingName,
        query=Choice,
        body=Thing,
        headers=(Header("X-Kind", "What kind.", r"[a-z]{1,5}"),),
        responses={
            200: ResponseSpec(Thing, "The thing.", {"ETag": "Its version."}, example={"size": 1})
        },
        token=True,
        tag="things",
    )
    def put_thing(name: str, query: Choice, body: Thing) -> Response:
        """Any size."""
        return json_response({"name": name, "times": query.times, "size": body.size})

    app.register_blueprint(things)
    return app
