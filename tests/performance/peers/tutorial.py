"""The usual assembly: one Flask extension or hook per feature, Gunicorn's sync worker, nginx."""

import logging
import os
import time
import uuid
from typing import Any

from flask import Flask, Response, g, jsonify, request
from flask_caching import Cache
from prometheus_flask_exporter.multiprocess import GunicornInternalPrometheusMetrics
from pythonjsonlogger.json import JsonFormatter

from tests.performance.peers import INFO, SECURITY_HEADERS

app = Flask(__name__)
app.config["CACHE_TYPE"] = "RedisCache"
app.config["CACHE_REDIS_URL"] = os.environ["REDIS_URL"]
cache = Cache(app)
metrics = GunicornInternalPrometheusMetrics(app)

handler = logging.StreamHandler()
handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
log = logging.getLogger("access")
log.addHandler(handler)
log.setLevel(logging.INFO)


@app.before_request
def identify() -> None:
    g.started = time.perf_counter()
    g.request_id = request.headers.get("X-Request-ID") or uuid.uuid4().hex


@app.after_request
def finish(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    for name, value in SECURITY_HEADERS.items():
        response.headers[name] = value
    log.info(
        "request",
        extra={
            "request_id": g.request_id,
            "method": request.method,
            "path": request.path,
            "route": str(request.url_rule),
            "status": response.status_code,
            "duration_ms": round((time.perf_counter() - g.started) * 1000, 3),
            "bytes": response.content_length,
            "client_ip": request.remote_addr,
            "user_agent": request.user_agent.string,
        },
    )
    return response


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "healthy"}


@app.get("/api/v1/info")
def info() -> Response:
    return jsonify(INFO)


@app.get("/api/v1/cache/<key>")
def read(key: str) -> tuple[Any, int]:
    value = cache.get(key)
    return (jsonify(value), 200) if value is not None else ({"error": "not found"}, 404)


@app.put("/api/v1/cache/<key>")
def store(key: str) -> dict[str, bool]:
    cache.set(key, request.get_json(), timeout=86_400)
    return {"stored": True}
