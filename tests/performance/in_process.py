"""Answers N requests in this process, without a socket in front: what callgrind counts.

Usage: python -m tests.performance.in_process VARIANT PATH N MORE_ROUTES

VARIANT may be "ours without NAME", of without.py. Settings come from the environment.
MORE_ROUTES, mostly 0, are added to a WSGI application's own.
"""

import asyncio
import importlib
import io
import sys
from collections.abc import Iterable
from typing import Any

PEERS = {"tutorial", "bare", "fastapi"}
# As nginx passes them on.
HEADERS = {
    "Host": "localhost",
    "X-Request-ID": "0123456789abcdef0123456789abcdef",
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Proto": "http",
    "User-Agent": "bench/1",
    "Accept": "*/*",
}
WARM_UP = 20


def wsgi_application(variant: str) -> Any:
    """The WSGI application as Gunicorn would load it."""
    if variant in PEERS:
        return importlib.import_module(f"tests.performance.peers.{variant}").app
    # What Gunicorn reads first, and where metrics of several processes are arranged.
    importlib.import_module("app.gunicorn_conf")
    application = importlib.import_module("app.main").app
    left_out = variant.partition(" without ")[2]
    if left_out:
        importlib.import_module("tests.performance.without").APPLICATION[left_out](application)
    return application


def environ(path: str) -> dict[str, Any]:
    """A request as Gunicorn hands it over."""
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in HEADERS.items()}
    return {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "bench",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "40000",
        "REQUEST_METHOD": "GET",
        "RAW_URI": path,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        **headers,
    }


def answer_wsgi(application: Any, path: str, count: int) -> None:
    """Let a WSGI application answer `count` requests."""
    statuses: list[str] = []

    def start_response(status: str, _headers: object, _exc: object = None) -> None:
        statuses.append(status)

    for _ in range(count):

        body: Iterable[bytes] = application(environ(path), start_response)
        b"".join(body)
        close = getattr(body, "close", None)
        if close:
            close()
    if statuses != ["200 OK"] * count:
        sys.exit(f"{path} answered {set(statuses)}")


async def answer_asgi(application: Any, path: str, count: int) -> None:
    """Let an ASGI application answer `count` requests."""
    headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    for _ in range(count):
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 40000),
            "server": ("127.0.0.1", 8000),
        }
        await application(scope, receive, send)
    if statuses != [200] * count:
        sys.exit(f"{path} answered {set(statuses)}")


def main() -> None:
    variant, path = sys.argv[1:3]
    count = int(sys.argv[3]) + WARM_UP
    if variant == "fastapi":
        application = importlib.import_module("tests.performance.peers.fast").app
        asyncio.run(answer_asgi(application, path, count))
    else:
        application = wsgi_application(variant)
        for number in range(int(sys.argv[4])):
            rule = f"/more/{number}/<name>/of/<int:count>"
            application.add_url_rule(rule, f"more-{number}", lambda name, count: f"{name}{count}")
        answer_wsgi(application, path, count)


if __name__ == "__main__":
    main()
