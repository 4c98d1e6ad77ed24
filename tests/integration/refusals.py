"""HTTP as bytes, for what no client library would send, and what all refusals have in common."""

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any

from redis import Redis

from tests.support.gunicorn_server import GunicornServer

TOKEN = "A7mQ2xLw9Zt4VbN6rK1sYh3D"
BEARER = f"Authorization: Bearer {TOKEN}"
JSON = "Content-Type: application/json"
SECONDS = 20

ITEMS = "/api/v1/items"
CACHE = "/api/v1/cache"
WRITES = [f"POST {ITEMS}", f"PUT {CACHE}/key", "PUT /api/v1/session", "POST /api/v1/demo/faults"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One response; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def head(line: str, *headers: str) -> bytes:
    """A request line with its headers, as given."""
    lines = [f"{line} HTTP/1.1", "Host: localhost", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def request(line: str, *headers: str, body: bytes | str = b"") -> bytes:
    """A request with a token and, if it has a body, with its type and length."""
    data = body.encode() if isinstance(body, str) else body
    about = [JSON, f"Content-Length: {len(data)}"] if data else []
    return head(line, BEARER, *about, *headers) + data


class Service:
    """A running service, what it keeps, and what it writes into its log."""

    def __init__(self, server: GunicornServer, redis: Redis, prefix: str) -> None:
        self._server = server
        self._redis = redis
        self._prefix = prefix

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._server.port), SECONDS)

    def send(self, data: bytes) -> Answer:
        """Send these bytes and read one answer, however much the service has read of them."""
        with self.connect() as connection:
            connection.sendall(data)
            return read_answer(connection, data)

    def kept(self) -> dict[Any, Any]:
        """All that clients have stored: items, cache entries, sessions, idempotency records."""
        names = ("item:", "items:", "cache:api:", "session:", "idempotency:")
        keys = [key for name in names for key in self._redis.keys(f"{self._prefix}{name}*")]
        return {key: self._redis.dump(key) for key in keys}

    def lines(self, since: int = 0) -> list[dict[str, Any]]:
        """The lines of the log, each of which must be JSON."""
        return [json.loads(line) for line in self._server.log_lines[since:]]

    def refuse(self, data: bytes, status: int) -> Answer:
        """Send what must be refused, and see that nothing but one log line comes of it."""
        kept, written = self.kept(), len(self._server.log_lines)

        answer = self.send(data)

        assert answer.status == status, answer
        assert answer.headers["content-type"] == "application/problem+json"
        if answer.body:
            assert answer.json["status"] == status
            assert answer.json["request_id"] == answer.headers["x-request-id"]
        assert self.kept() == kept
        (line,) = self.lines(since=written)
        assert line["status"] == status
        assert line["request_id"] == answer.headers["x-request-id"]
        return answer


def read_answer(connection: socket.socket, data: bytes = b"GET") -> Answer:
    """The next answer on this connection; `data` is the request, whose method matters."""
    response = http.client.HTTPResponse(connection, method=data.split(b" ", 1)[0].decode("latin-1"))
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())
