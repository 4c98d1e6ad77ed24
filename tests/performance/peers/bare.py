"""Flask alone: what any Flask service costs before it has a single feature.

It reads from Redis the way the service does (bare_conf.py says why).
"""

import os

from flask import Flask, Response, jsonify, request
from redis import Redis

from app.utils.direct_reads import DirectReads
from tests.performance.peers import INFO

app = Flask(__name__)
redis = Redis.from_url(os.environ["REDIS_URL"])
direct = DirectReads(redis.connection_pool)


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "healthy"}


@app.get("/api/v1/info")
def info() -> Response:
    return jsonify(INFO)


@app.get("/api/v1/cache/<key>")
def read(key: str) -> Response:
    (value,) = direct([("GET", f"bare:{key}")])
    return Response(value, content_type="application/json")


@app.put("/api/v1/cache/<key>")
def store(key: str) -> dict[str, bool]:
    redis.set(f"bare:{key}", request.get_data(), ex=86_400)
    return {"stored": True}
