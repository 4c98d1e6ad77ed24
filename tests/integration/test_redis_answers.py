"""A Redis that answers, but not as expected or is full: no 500, reads go on, the cause is known."""

import re
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis

from app.factory import create_app
from app.redis_client.client import RedisUnavailable
from tests.support.app_parts import make_redis, make_settings, nowhere
from tests.support.paths import ROOT
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer
from tests.support.service import Service, StartService
from tests.support.tcp_proxy import TcpProxy

ITEMS = "/api/v1/items"
ROUTES = ("/", "/health", ITEMS, "/api/v1/cache", "/api/v1/cache/key", "/api/v1/stats")


def client_of(url: str) -> FlaskClient:
    return create_app(make_settings(REDIS_URL=url)).test_client()


def test_planned_failovers_lose_nothing(own_redis: RedisServer, second_redis: RedisServer) -> None:
    name = TcpProxy(own_redis.port)
    client = client_of(f"redis://127.0.0.1:{name.port}/0")
    assert client.post(ITEMS, json={"name": "Earlier"}).status_code == 201
    name.target = second_redis.port
    with own_redis.client() as old:
        old.replicaof("127.0.0.1", str(second_redis.port))

    answers = [client.post(ITEMS, json={"name": "Tea"}).status_code for _ in range(10)]
    listed = client.get(ITEMS, headers={"Cache-Control": "no-cache"}).get_json()["items"]

    name.close()
    assert answers == [201] * 10
    assert len(listed) == 10


def test_a_redis_without_hello_serves_everything() -> None:
    with RedisServer("--rename-command", "HELLO", "") as server:
        client = client_of(server.url)

        statuses = {path: client.get(path).status_code for path in ROUTES}
        created = client.post(ITEMS, json={"name": "Tea"})
        page = client.get(ITEMS).get_json()
        stored = client.put("/api/v1/cache/key", json=1).status_code

    assert statuses == dict.fromkeys(ROUTES, 200) | {"/api/v1/cache/key": 404}
    assert (created.status_code, stored, page["items"]) == (201, 201, [created.json])


@pytest.mark.slow
def test_a_wrong_password_is_named_once_and_never_shown(start_service: StartService) -> None:
    server, cause = RedisServer("--requirepass", "right"), "invalid username-password pair"
    settings = {"REDIS_PASSWORD": "wr0ng-s3cret", "WEB_CONCURRENCY": "1"}
    with start_service(redis=server.url, **settings) as service:
        server.start_without_waiting()
        wait_until(lambda: service.messages(cause), why="the log names the cause")
        statuses = {service.get(path).status_code for path in ROUTES}
        time.sleep(2)  # two more attempts
        named = service.messages(cause)
        with Redis(port=server.port, password="right") as redis:
            redis.config_set("requirepass", "wr0ng-s3cret")
        wait_until(lambda: service.get(ITEMS).ok, seconds=10, why="it is back by itself")

        assert len(named) == 1
        assert service.messages("serves again")
        assert statuses <= {200, 503}
        assert "wr0ng-s3cret" not in "".join(service.log_lines) + service.stderr

    server.close()


class Scripted(socketserver.ThreadingTCPServer):
    """Answers each command with the same bytes, or without any closes the connection."""

    daemon_threads = True

    def __init__(self, answer: bytes) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self._answer = answer
        self.url = f"redis://127.0.0.1:{self.server_address[1]}/0"

    def finish_request(self, request: Any, client_address: Any) -> None:
        while self._answer and (data := request.recv(65536)):
            request.sendall(self._answer * data.count(b"*"))


@pytest.fixture
def scripted() -> Iterator[Callable[[bytes], str]]:
    """Starts one, and returns its URL."""
    with ExitStack() as running:

        def make(answer: bytes) -> str:
            server = running.enter_context(Scripted(answer))
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            running.callback(server.shutdown)
            return server.url

        yield make


@pytest.mark.parametrize(
    "answer",
    [
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"-NOPERM User app has no permissions to run the 'get' command\r\n",
        b"-CLUSTERDOWN The cluster is down\r\n",
        b"-MOVED 3999 127.0.0.1:6381\r\n",
        b"-BUSY Redis is busy running a script.\r\n",
        b"-NOREPLICAS Not enough good replicas to write.\r\n",
        b"-MISCONF Redis is configured to save RDB snapshots\r\n",
        b"-ERR unknown command `AUTH`, with args beginning with: `user` `s3cret-w0rd` \r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ],
    ids=lambda answer: answer.split()[0].decode("latin-1").strip("-\x15\x03\x01\x00\x02F"),
)
def test_whatever_redis_answers_nothing_is_a_500_and_no_password_is_shown(
    scripted: Callable[[bytes], str], caplog: pytest.LogCaptureFixture, answer: bytes
) -> None:
    url = scripted(answer).replace("//", "//user:s3cret-w0rd@")
    client = client_of(url)

    statuses = {client.get(path).status_code for path in (*ROUTES, "/metrics")}
    statuses.add(client.post(ITEMS, json={"name": "Tea"}).status_code)
    for path, content in {"/api/v1/cache/key": 1, "/api/v1/session": {"data": {}}}.items():
        statuses.add(client.put(path, json=content).status_code)

    assert statuses <= {200, 404, 503, 507}
    assert client.get("/health").get_json()["status"] == "degraded"
    assert re.search("Redis is unavailable|Redis refuses", caplog.text)
    assert "s3cret-w0rd" not in caplog.text


@pytest.mark.parametrize(
    ("answer", "maybe_stored"),
    [
        (b"", True),  # it gets the command, and closes the connection
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", True),
        (b"-NOPERM no\r\n", False),
        (b"-LOADING no\r\n", False),
        (b"-NOAUTH no\r\n", False),
        (None, False),  # nothing listens
    ],
)
def test_a_write_without_an_answer_may_have_been_stored_and_one_that_is_refused_not(
    scripted: Callable[[bytes], str], answer: bytes | None, maybe_stored: bool
) -> None:
    redis = make_redis(REDIS_URL=nowhere() if answer is None else scripted(answer))

    with pytest.raises(RedisUnavailable) as of_a_write:
        redis.script("return 1")([], [])
    with pytest.raises(RedisUnavailable) as of_a_read:
        redis.read(("GET", "key"))

    assert of_a_write.value.maybe_stored is maybe_stored
    assert not of_a_read.value.maybe_stored


SESSION = "/api/v1/session"
CONFIGURATION = (ROOT / "docker" / "redis" / "redis.conf").read_text(encoding="utf-8")
(POLICY,) = re.findall(r"^maxmemory-policy (\S+)$", CONFIGURATION, re.MULTILINE)


def fill_the_cache(service: Service) -> set[int]:
    """Store twice as much as fits, and read each value three times; the answers to the writes."""
    value, statuses = "x" * 250_000, set()
    for number in range(65):
        path = f"/api/v1/cache/filling-{number}"
        statuses.add(service.put(path, value).status_code)
        for _ in range(3):
            service.get(path)
    return statuses


@pytest.mark.slow
@pytest.mark.parametrize("policy", [POLICY, "noeviction", "volatile-ttl"])
def test_a_full_redis_keeps_what_is_not_cache(start_service: StartService, policy: str) -> None:
    long = {"REDIS_TIMEOUT_MS": "10000", "REDIS_DATA_TIMEOUT_MS": "10000", "WEB_CONCURRENCY": "1"}
    once = {"Idempotency-Key": "k1"}
    server = RedisServer("--maxmemory", "8mb", "--maxmemory-policy", policy)
    with server, start_service(redis=server.url, **long) as service:
        first = service.post(ITEMS, {"name": "Tea"}, headers=once)
        session = service.put(SESSION, {"data": {"theme": "dark"}})
        assert "users_active" in service.scrape()

        filled = fill_the_cache(service)

        assert filled <= {201, 507} and (policy != POLICY or filled == {201})
        again = service.post(ITEMS, {"name": "Tea"}, headers=once)
        assert (again.status_code, again.json()) == (201, first.json())
        read = service.get(SESSION, cookies=session.cookies)
        assert read.json()["data"] == {"theme": "dark"}
        item = first.headers["Location"]
        deleted = service.request("DELETE", item).status_code, service.get(item).status_code
        assert (deleted, service.get(ITEMS).json()["items"]) == ((204, 404), [])
        with server.client() as redis:
            mortal = {key.split(":")[1] for key in redis.keys("*") if redis.ttl(key) >= 0}
        assert mortal <= {"cache", "lock"}
