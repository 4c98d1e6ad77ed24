"""The session: what the service keeps about a browser, behind a cookie that scripts cannot read."""

from typing import Any

import orjson
from flask import Blueprint, Response, current_app, session
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.routes.deps import empty, reply
from app.utils.openapi import Reply, operation
from app.utils.problems import Problem

blueprint = Blueprint("session", __name__, url_prefix="/api/v1/session")

MAX_BYTES = 16_384


class SessionContent(BaseModel):
    """What to keep."""

    model_config = ConfigDict(extra="forbid", strict=True)

    user: str | None = Field(
        default=None, min_length=1, max_length=200, description="Who is signed in."
    )
    data: dict[str, JsonValue] = Field(default_factory=dict, examples=[{"theme": "dark"}])


class SessionState(SessionContent, defer_build=True):
    """What is kept; empty when there is no session."""

    active: bool


@blueprint.get("")
@operation("Read the session", replies={200: Reply(SessionState, "The session, or an empty one.")})
def read_session() -> Response:
    """Without a session this answers an empty one and starts none."""
    return reply(_state())


@blueprint.put("")
@operation(
    "Replace the session's content",
    body=SessionContent,
    replies={200: Reply(SessionState, "The session.")},
    token=True,
)
def replace_session(body: SessionContent) -> Response:
    """Starts a session where there is none. Another user gets another session ID."""
    if len(orjson.dumps(body.data)) > MAX_BYTES:
        raise Problem(422, f"A session holds {MAX_BYTES} bytes of data at most.")
    if "data" in session and session.get("user") != body.user:
        current_app.session_interface.renew(session)  # type: ignore[attr-defined]
    session["user"] = body.user
    session["data"] = body.data
    return reply(_state())


@blueprint.delete("")
@operation("End the session", replies={204: Reply(description="Ended.")}, token=True)
def end_session() -> Response:
    """Forgets what was kept and takes the cookie back."""
    session.clear()
    return empty()


def _state() -> dict[str, Any]:
    return {
        "active": "data" in session,
        "user": session.get("user"),
        "data": session.get("data", {}),
    }
