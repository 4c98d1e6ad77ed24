"""The session: what the service stores for a browser, behind a cookie that scripts cannot read."""

from typing import Any

import orjson
from flask import Blueprint, Response, current_app, session
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.http.openapi import ResponseSpec, operation
from app.http.problems import Problem
from app.http.responses import json_response, no_content

blueprint = Blueprint("session", __name__, url_prefix="/api/v1/session")

MAX_BYTES = 16_384


class SessionContent(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    user: str | None = Field(
        default=None, min_length=1, max_length=200, description="Who is signed in."
    )
    data: dict[str, JsonValue] = Field(default_factory=dict, examples=[{"theme": "dark"}])


class SessionState(SessionContent, defer_build=True):
    """What is stored; empty when there is no session."""

    active: bool


@blueprint.get("")
@operation(
    "Read the session", responses={200: ResponseSpec(SessionState, "The session, or an empty one.")}
)
def read_session() -> Response:
    """Without a session, the answer is an empty one and none is started."""
    return json_response(_state())


@blueprint.put("")
@operation(
    "Replace the session's content",
    body=SessionContent,
    responses={200: ResponseSpec(SessionState, "The session.")},
    token=True,
)
def replace_session(body: SessionContent) -> Response:
    """Starts a session if there is none. A change of the user changes the session ID."""
    if len(orjson.dumps(body.data)) > MAX_BYTES:
        raise Problem(422, f"A session may have at most {MAX_BYTES} bytes of data.")
    if "data" in session and session.get("user") != body.user:
        current_app.session_interface.renew(session)  # type: ignore[attr-defined]
    session["user"] = body.user
    session["data"] = body.data
    return json_response(_state())


@blueprint.delete("")
@operation("End the session", responses={204: ResponseSpec(description="Ended.")}, token=True)
def end_session() -> Response:
    """Deletes what was stored, and the cookie."""
    session.clear()
    return no_content()


def _state() -> dict[str, Any]:
    return {
        "active": "data" in session,
        "user": session.get("user"),
        "data": session.get("data", {}),
    }
