"""Endpoints to try things on, and faults on demand. Off in production unless asked for."""

import time
from typing import Annotated, Any

from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field

from app.routes.deps import empty, reply, services
from app.services.fault_service import Fault
from app.utils import jsonio
from app.utils.openapi import Reply, ReplyModel, operation
from app.utils.problems import Problem, title

blueprint = Blueprint("demo", __name__, url_prefix="/api/v1/demo")

MAX_FAULT_SECONDS = 900


class Echo(ReplyModel):
    """What arrived."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


class StatusCode(BaseModel):
    """The status to answer."""

    code: int = Field(ge=200, le=599, examples=[503])


class Delay(BaseModel):
    """How long to wait."""

    seconds: float = Field(ge=0, le=10, allow_inf_nan=False, examples=[0.5])


class Delayed(ReplyModel):
    """How long it waited."""

    seconds: float


class StatusReply(ReplyModel):
    """The status that was asked for."""

    status: int
    title: str


class FaultSetting(BaseModel):
    """A fault."""

    model_config = ConfigDict(extra="forbid", strict=True)

    error_rate: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    latency_ms: Annotated[int, Field(ge=0, le=10_000), jsonio.WHOLE] = 0
    route: str = Field(
        default="/api/v1/*", pattern=r"^/[!-~]{0,199}$", description="Pattern of paths; * is any."
    )
    duration_seconds: Annotated[int, Field(ge=1, le=MAX_FAULT_SECONDS), jsonio.WHOLE] = 60


class FaultState(ReplyModel):
    """The fault in force."""

    active: bool
    error_rate: float
    latency_ms: int
    route: str | None
    remaining_seconds: float


@blueprint.post("/echo")
@operation(
    "Send back what arrived",
    any_body=True,
    body_example={"hello": "world"},
    replies={200: Reply(Echo, "What arrived.")},
    tag="demo",
)
def echo(body: object) -> Response:
    """Method, path, query and JSON body; no headers, as those may hold secrets."""
    arrived = {
        "method": request.method,
        "path": request.path,
        "query": request.args.to_dict(),
        "body": body,
    }
    return reply(arrived)


@blueprint.get("/status/<code>")
@operation(
    "Answer with a status",
    path=StatusCode,
    replies={
        204: Reply(description="As asked, and so without content."),
        205: Reply(description="As asked, and so without content."),
        304: Reply(description="As asked, and so without content."),
        "2XX": Reply(StatusReply, "As asked."),
        "3XX": Reply(StatusReply, "As asked."),
    },
    tag="demo",
)
def status(code: int) -> Response:
    """Errors come as problem documents, as everywhere."""
    if code >= 400:
        raise Problem(code, "You asked for this status.")
    if code in (204, 205, 304):
        return empty(code)
    return reply({"status": code, "title": title(code)}, code)


@blueprint.get("/delay/<seconds>")
@operation("Answer late", path=Delay, replies={200: Reply(Delayed, "After the delay.")}, tag="demo")
def delay(seconds: float) -> Response:
    """Waits from 0 to 10 seconds, occupying a thread as slow work would."""
    time.sleep(seconds)
    return reply({"seconds": seconds})


@blueprint.get("/faults")
@operation("Show the fault in force", replies={200: Reply(FaultState)}, tag="demo")
def show_fault() -> Response:
    """Whether there is one, and for how long."""
    return reply(_state())


@blueprint.post("/faults")
@operation(
    "Set a fault",
    body=FaultSetting,
    body_example={"error_rate": 0.2, "route": "/api/v1/*", "duration_seconds": 60},
    replies={200: Reply(FaultState)},
    token_even_if_open=True,
    tag="demo",
)
def set_fault(body: FaultSetting) -> Response:
    """Every worker of every instance obeys within a second; it ends by itself."""
    fault = Fault(body.error_rate, body.latency_ms, body.route)
    services().faults.set(fault, body.duration_seconds)
    return reply(_state())


@blueprint.delete("/faults")
@operation(
    "End the fault", replies={204: Reply(description="Ended.")}, token_even_if_open=True, tag="demo"
)
def end_fault() -> Response:
    """Does nothing when there is none."""
    services().faults.clear()
    return empty()


def _state() -> dict[str, Any]:
    found = services().faults.read()
    if found is None:
        return {
            "active": False, "error_rate": 0.0, "latency_ms": 0, "route": None,
            "remaining_seconds": 0.0,
        }  # fmt: skip
    fault, left = found
    return {
        "active": True,
        "error_rate": fault.error_rate,
        "latency_ms": fault.latency_ms,
        "route": fault.route,
        "remaining_seconds": round(left, 1),
    }
