"""Endpoints to try things with, and faults on demand. Off in production by default."""

import time
from dataclasses import asdict
from typing import Annotated, Any

from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field

from app.http import json_codec
from app.http.openapi import ResponseModel, ResponseSpec, operation
from app.http.problems import Problem, title
from app.http.responses import json_response, no_content
from app.routes import service
from app.services.faults import Fault, FaultService

blueprint = Blueprint("demo", __name__, url_prefix="/api/v1/demo")

MAX_FAULT_SECONDS = 900
WITHOUT_CONTENT = (204, 205, 304)


class Echo(ResponseModel):
    method: str
    path: str
    query: dict[str, str]
    body: Any


class StatusCode(BaseModel):
    code: int = Field(ge=200, le=599, examples=[503])


class Delay(BaseModel):
    seconds: float = Field(ge=0, le=10, allow_inf_nan=False, examples=[0.5])


class Delayed(ResponseModel):
    seconds: float


class StatusResponse(ResponseModel):
    status: int
    title: str


class FaultSetting(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    error_rate: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    latency_ms: Annotated[int, Field(ge=0, le=10_000), json_codec.WHOLE] = 0
    route: str = Field(
        default="/api/v1/*", pattern=r"^/[!-~]{0,199}$", description="Pattern of paths; * is any."
    )
    duration_seconds: Annotated[int, Field(ge=1, le=MAX_FAULT_SECONDS), json_codec.WHOLE] = 60


class FaultState(ResponseModel):
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
    responses={200: ResponseSpec(Echo, "What arrived.")},
    tag="demo",
)
def echo(body: object) -> Response:
    """Method, path, query and JSON body; not the headers, which may contain secrets."""
    query = request.args.to_dict()
    return json_response(
        {"method": request.method, "path": request.path, "query": query, "body": body}
    )


@blueprint.get("/status/<code>")
@operation(
    "Answer with a status",
    path=StatusCode,
    responses={
        "2XX": ResponseSpec(StatusResponse, "As asked."),
        "3XX": ResponseSpec(StatusResponse, "As asked."),
        **{code: ResponseSpec(description="As asked.") for code in WITHOUT_CONTENT},
    },
    tag="demo",
)
def status(code: int) -> Response:
    """Statuses from 400 come as problem documents, as everywhere."""
    if code >= 400:
        raise Problem(code, "You asked for this status.")
    if code in WITHOUT_CONTENT:
        return no_content(code)
    return json_response({"status": code, "title": title(code)}, code)


@blueprint.get("/delay/<seconds>")
@operation(
    "Answer late",
    path=Delay,
    responses={200: ResponseSpec(Delayed, "After the delay.")},
    tag="demo",
)
def delay(seconds: float) -> Response:
    """Waits from 0 to 10 seconds and occupies a thread, as slow work would."""
    time.sleep(seconds)
    return json_response({"seconds": seconds})


@blueprint.get("/faults")
@operation("Show the fault in force", responses={200: ResponseSpec(FaultState)}, tag="demo")
def show_fault() -> Response:
    """Whether there is one, and when it ends."""
    return json_response(_state())


@blueprint.post("/faults")
@operation(
    "Set a fault",
    body=FaultSetting,
    body_example={"error_rate": 0.2, "route": "/api/v1/*", "duration_seconds": 60},
    responses={200: ResponseSpec(FaultState)},
    token_even_if_open=True,
    tag="demo",
)
def set_fault(body: FaultSetting) -> Response:
    """Every worker of every instance follows within a second. The fault ends by itself."""
    fault = Fault(body.error_rate, body.latency_ms, body.route)
    service(FaultService).set(fault, body.duration_seconds)
    return json_response(_state())


@blueprint.delete("/faults")
@operation(
    "End the fault",
    responses={204: ResponseSpec(description="Ended.")},
    token_even_if_open=True,
    tag="demo",
)
def end_fault() -> Response:
    """Does nothing when there is none."""
    service(FaultService).clear()
    return no_content()


def _state() -> dict[str, Any]:
    fault, seconds = service(FaultService).read() or (None, 0.0)
    members = asdict(fault) if fault else {"error_rate": 0.0, "latency_ms": 0, "route": None}
    return {"active": fault is not None, **members, "remaining_seconds": round(seconds, 1)}
