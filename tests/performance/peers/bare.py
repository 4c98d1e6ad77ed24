"""Flask alone: the cost of any Flask service before it has a single feature."""

import os

from flask import Flask, Response, jsonify, request
from redis import Redis

from tests.performance.peers import INFO

app = Flask(__name__)
redis = Redis.from_url(os.environ["REDIS_URL"])


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "healthy"}


@app.get("/api/v1/info")
def info() -> Response:
    return jsonify(INFO)


@app.get("/api/v1/cache/<key>")
def read(key: str) -> Response:
    return Response(redis.get(f"bare:{key}"), content_type="application/json")


@app.put("/api/v1/cache/<key>")
def store(key: str) -> dict[str, bool]:
    redis.set(f"bare:{key}", request.get_data(), ex=86_400)
    return {"stored": True}
