"""The kinds of Redis: TLS with a client certificate, Sentinel, and Redis Cluster (refused)."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from redis.exceptions import RedisError

from tests.support.processes import free_port, wait_until
from tests.support.redis_server import RedisSentinel, RedisServer
from tests.support.service import Service, StartService

ITEMS = "/api/v1/items"
# Every character that has a meaning in a URL.
PASSWORD = "p@ss:/w?rd#1%2F[&]=+"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, and a certificate of its for localhost, which serves as the client's as well."""
    folder = tmp_path_factory.mktemp("certificates")
    new_key = "openssl req -x509 -newkey rsa:2048 -nodes -days 2"
    signed = "-CA ca.pem -CAkey ca.key -addext basicConstraints=critical,CA:FALSE"
    for command in (
        f"{new_key} -subj /CN=ca -keyout ca.key -out ca.pem",
        f"{new_key} {signed} -subj /CN=localhost -addext subjectAltName=DNS:localhost"
        " -keyout own.key -out own.pem",
    ):
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def tls_port(certificates: Path) -> Iterator[int]:
    """The port of a Redis that wants TLS, a client certificate and a password."""
    port = free_port()
    files = {"ca-cert-file": "ca.pem", "cert-file": "own.pem", "key-file": "own.key"}
    tls = " ".join(f"--tls-{name} {certificates / file}" for name, file in files.items()).split()
    server = RedisServer("--tls-port", str(port), *tls, password=PASSWORD)
    with server:
        yield port


def assert_serves(service: Service) -> None:
    assert service.post(ITEMS, {"name": "Tea"}).status_code == 201
    page = service.get(ITEMS)
    assert page.status_code == 200, [page.text, *service.log_lines[-5:]]


@pytest.mark.parametrize("in_url", [True, False])
def test_tls_with_a_client_certificate_and_a_password_of_any_characters(
    start_service: StartService, certificates: Path, tls_port: int, in_url: bool
) -> None:
    files = {"ssl_ca_certs": "ca.pem", "ssl_certfile": "own.pem", "ssl_keyfile": "own.key"}
    options = "&".join(f"{name}={certificates / file}" for name, file in files.items())
    login = f":{quote(PASSWORD, safe='')}@" if in_url else ""
    settings = {} if in_url else {"REDIS_PASSWORD": PASSWORD}

    with start_service(
        redis=f"rediss://{login}localhost:{tls_port}/0?{options}", WEB_CONCURRENCY="1", **settings
    ) as service:
        assert_serves(service)


def test_an_untrusted_certificate_is_logged(start_service: StartService, tls_port: int) -> None:
    with start_service(redis=f"rediss://localhost:{tls_port}/0", WEB_CONCURRENCY="1") as service:
        cause = "CERTIFICATE_VERIFY_FAILED"
        wait_until(lambda: service.messages(cause), why="the log names the cause")
        assert service.get(ITEMS).status_code == 503


@pytest.fixture
def replicated() -> Iterator[tuple[RedisServer, RedisServer]]:
    with RedisServer(password=PASSWORD) as primary, RedisServer(password=PASSWORD) as replica:
        replica.follow(primary)
        yield primary, replica


@pytest.fixture
def sentinel(replicated: tuple[RedisServer, RedisServer]) -> Iterator[RedisSentinel]:
    running = RedisSentinel(
        f"sentinel monitor MyMaster 127.0.0.1 {replicated[0].port} 1",
        f'sentinel auth-pass MyMaster "{PASSWORD}"',
        "sentinel down-after-milliseconds MyMaster 1000",
        "sentinel failover-timeout MyMaster 5000",
        password="of-sentinel",
    )
    replicas = running.client.sentinel_slaves
    wait_until(lambda: len(replicas("MyMaster")) == 1, why="it watches")
    yield running
    running.close()


def stored(server: RedisServer) -> int:
    return int(server.client().zcard("ds:items:index"))


def role(server: RedisServer) -> str:
    try:
        return str(server.client().role()[0])
    except RedisError:
        return ""


@pytest.mark.slow
def test_sentinel_says_which_server_is_the_primary_before_and_after_a_failover(
    start_service: StartService,
    sentinel: RedisSentinel,
    replicated: tuple[RedisServer, RedisServer],
) -> None:
    primary, replica = replicated
    with start_service(
        redis="redis://MyMaster/0",
        REDIS_PASSWORD=PASSWORD,
        REDIS_SENTINELS=f"127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}",
        REDIS_SENTINEL_PASSWORD="of-sentinel",
        WEB_CONCURRENCY="1",
    ) as service:
        assert_serves(service)
        wait_until(lambda: stored(replica) == 1, why="the item is replicated")
        sentinel.client.sentinel_failover("MyMaster")
        changed = ("slave", "master")
        wait_until(lambda: (role(primary), role(replica)) == changed, why="of places")
        wait_until(lambda: service.post(ITEMS, {"name": "Tea"}).ok, why="writes work")
        wait_until(lambda: service.get(ITEMS).status_code == 200, why="and reads")
        assert len(service.get(ITEMS).json()["items"]) == stored(replica) == 2


def test_a_redis_cluster_is_refused_in_one_line() -> None:
    with RedisServer("--cluster-enabled", "yes", "--cluster-port", str(free_port())) as server:
        service = Service({"REDIS_URL": server.url})
        service.launch()
        assert service.wait() == 1
    assert service.stderr.startswith("devops-starter: REDIS_URL: is a Redis Cluster")
    assert service.stderr.count("\n") == 1
