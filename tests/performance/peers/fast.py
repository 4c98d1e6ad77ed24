"""The peer "fastapi": FastAPI on Uvicorn, redis.asyncio, one pure ASGI middleware."""

import logging
import os
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI, Request, Response
from prometheus_fastapi_instrumentator import Instrumentator
from pythonjsonlogger.orjson import OrjsonFormatter
from redis.asyncio import Redis

from tests.performance.peers import INFO, SECURITY_HEADERS

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]

handler = logging.StreamHandler()
handler.setFormatter(OrjsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
log = logging.getLogger("access")
log.addHandler(handler)
log.setLevel(logging.INFO)
log.propagate = False


class Access:
    """Request ID, security headers and the access line, without BaseHTTPMiddleware's cost."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        given = dict(scope["headers"])
        request_id = given.get(b"x-request-id") or uuid.uuid4().hex.encode()
        answered = {"status": 500, "bytes": 0}

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered["status"] = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id),
                    *HEADERS,
                ]
            else:
                answered["bytes"] += len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, noting)
        log.info(
            "request",
            extra={
                "request_id": request_id.decode(),
                "method": scope["method"],
                "path": scope["path"],
                **answered,
                "duration_ms": round((time.perf_counter() - started) * 1000, 3),
                "client_ip": scope["client"][0] if scope["client"] else None,
                "user_agent": given.get(b"user-agent", b"").decode("latin-1"),
            },
        )


app = FastAPI()
app.add_middleware(Access)
Instrumentator().instrument(app).expose(app)
redis = Redis.from_url(os.environ["REDIS_URL"])


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy"}


@app.get("/api/v1/info")
async def info() -> dict[str, Any]:
    return INFO


@app.get("/api/v1/cache/{key}")
async def read(key: str) -> Response:
    value = await redis.get(f"fastapi:{key}")
    if value is None:
        return Response('{"error": "not found"}', 404, media_type="application/json")
    return Response(value, media_type="application/json")


@app.put("/api/v1/cache/{key}")
async def store(key: str, request: Request) -> dict[str, bool]:
    await redis.set(f"fastapi:{key}", await request.body(), ex=86_400)
    return {"stored": True}
