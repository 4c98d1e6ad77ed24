"""HTTP as bytes, for requests that no client library sends, and what refusals have in common."""

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any

from redis import Redis

from tests.support.app_parts import TOKEN
from tests.support.service import Service

AUTHORIZED = f"Authorization: Bearer {TOKEN}"
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

    def assert_problem(self) -> None:
        assert self.headers["content-type"] == "application/problem+json", self
        if self.body:
            assert self.json["status"] == self.status
            assert self.json["request_id"] == self.headers["x-request-id"]


def head(line: str, *headers: str) -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: localhost", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def request(line: str, *headers: str, body: bytes | str = b"") -> bytes:
    """A request with a token and, if it has a body, with its type and length."""
    data = body.encode() if isinstance(body, str) else body
    about = [JSON, f"Content-Length: {len(data)}"] if data else []
    return head(line, AUTHORIZED, *about, *headers) + data


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), SECONDS)


def read_answer(connection: socket.socket, data: bytes = b"GET") -> Answer:
    """The next answer on this connection; `data` is the request, whose method matters."""
    response = http.client.HTTPResponse(connection, method=data.split(b" ", 1)[0].decode("latin-1"))
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def send(service: Service, data: bytes) -> Answer:
    """Send these bytes and read one answer, however much the service has read of them."""
    with connect(service.port) as connection:
        connection.sendall(data)
        return read_answer(connection, data)


def stored(service: Service) -> dict[Any, Any]:
    """All that clients have stored: items, cache entries, sessions, idempotency records."""
    names = ("item:", "items:", "cache:api:", "session:", "idempotency:")
    with Redis.from_url(service.env["REDIS_URL"]) as redis:
        prefix = service.env["REDIS_KEY_PREFIX"]
        keys = [key for name in names for key in redis.keys(f"{prefix}{name}*")]
        return {key: redis.dump(key) for key in keys}


def refuse(service: Service, data: bytes, status: int) -> Answer:
    """Send what must be refused: a problem document, one log line, and nothing stored."""
    before, written = stored(service), len(service.log_lines)

    answer = send(service, data)

    assert answer.status == status, answer
    answer.assert_problem()
    assert stored(service) == before
    (line,) = service.log_records[written:]
    assert line["status"] == status
    assert line["request_id"] == answer.headers["x-request-id"]
    return answer
