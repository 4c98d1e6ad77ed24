"""Makes the service a bad version, by FAULT. As sitecustomize.py, Python runs it first."""

import os
import random
import sys
import time
from typing import Any

import flask

FAULT = os.environ.get("FAULT", "")
kept: list[bytes] = []
answer = flask.Flask.full_dispatch_request


def spoiled(app: flask.Flask) -> Any:
    started, path = time.perf_counter(), flask.request.path
    if not path.startswith("/health"):
        if FAULT == "errors" and random.random() < 0.05:
            raise RuntimeError("one in twenty fails")
        if FAULT == "writes" and flask.request.method != "GET":
            raise RuntimeError("every write fails")
        if FAULT == "leak":
            kept.append(os.urandom(1 << 20))
    response = answer(app)
    if FAULT == "slow":
        time.sleep(0.3 * (time.perf_counter() - started))
    return response


if FAULT == "unready" and "-m" in sys.orig_argv:
    time.sleep(3600)
setattr(flask.Flask, "full_dispatch_request", spoiled)
