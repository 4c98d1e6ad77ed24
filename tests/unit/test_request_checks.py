"""What every request passes first: tokens, URL encoding, trusted host, rate limit, large bodies."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.http import large_bodies
from app.http.auth import TokenAuth
from app.http.large_bodies import MAX_BYTES, SMALL, LargeBodies
from app.http.problems import Problem
from app.http.rate_limit import RateLimit
from app.redis_client.client import RedisClient
from tests.support.app_parts import TOKEN, Clock, seconds_left

INFO = "/api/v1/info"


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        *[(path, "NUL") for path in ("/api/v1/cache/a\0b", "/\0", "/static/\0")],
        *[(path, "NUL") for path in ("/api/v1/items?cursor=%00", "/health?%00")],
        *[(path, "UTF-8") for path in ("/api/v1/cache/\xff", "/\xc3", "/\xed\xa0\x80")],
    ],
)
def test_a_nul_or_invalid_utf8_is_a_400(client: FlaskClient, path: str, detail: str) -> None:
    path, _, query = path.partition("?")
    response = client.get("/", environ_overrides={"PATH_INFO": path, "QUERY_STRING": query})
    assert response.status_code == 400
    assert detail in response.get_json()["detail"]


def test_a_path_in_utf8_is_looked_up(client: FlaskClient) -> None:
    response = client.get("/caf%C3%A9")
    assert (response.status_code, response.get_json()["instance"]) == (404, "/café")


@pytest.mark.parametrize("path", ["//metrics", "//health", "///api/v1/info", "//"])
def test_a_path_with_two_slashes_is_not_that_with_one(client: FlaskClient, path: str) -> None:
    assert client.get("/", environ_overrides={"PATH_INFO": path}).status_code == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [("example.org", 200), ("EXAMPLE.org:8080", 200), ("api.example.com", 200)]
    + [("evil.example", 400), ("example.org.evil.example", 400)]
    + [("example.org@evil.example", 400), ("", 400)],
)
def test_only_trusted_hosts_are_answered(
    make_client: Callable[..., FlaskClient], host: str, status: int
) -> None:
    client = make_client(TRUSTED_HOSTS="example.org,.example.com")
    assert client.get(INFO, headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("path", "answers"),
    [
        *[(path, [200] * 4) for path in ("/health", "/health/live", "/health/ready", "/metrics")],
        # Those only begin like them.
        *[(path, [404, 429, 400, 400]) for path in ("/healthx", "/metricsx", "/health.php")],
    ],
)
def test_probes_and_scrapes_alone_need_no_trusted_host_and_have_no_rate_limit(
    make_client: Callable[..., FlaskClient], path: str, answers: list[int]
) -> None:
    client = make_client(TRUSTED_HOSTS="example.org", RATE_LIMIT="1/day")
    hosts = ["example.org"] * 2 + ["10.0.0.3"] * 2
    assert [client.get(path, headers={"Host": host}).status_code for host in hosts] == answers


def test_a_client_over_its_rate_is_a_429_with_a_time(
    make_client: Callable[..., FlaskClient],
) -> None:
    client = make_client(RATE_LIMIT="2/day")
    first, second, third = (client.get(INFO) for _ in range(3))
    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    assert 0 < int(third.headers["Retry-After"]) <= 86_400


def test_clients_are_told_apart_by_token_or_address(
    make_client: Callable[..., FlaskClient],
) -> None:
    client = make_client(RATE_LIMIT="1/day", API_TOKENS=TOKEN)

    def ask(address: str, token: str = "") -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        origin = {"REMOTE_ADDR": address}
        return client.get(INFO, environ_base=origin, headers=headers).status_code

    assert [ask("192.0.2.1"), ask("192.0.2.2"), ask("192.0.2.1")] == [200, 200, 429]
    assert [ask("192.0.2.1", TOKEN), ask("192.0.2.3", TOKEN)] == [200, 429]
    # One that is made up does not get around the rate.
    assert [ask("192.0.2.4", "made-up-0"), ask("192.0.2.4", "made-up-1")] == [200, 429]


FIRST, SECOND = "A7mQ2xLw9Zt4VbN6rK1sYh3D", "Zt4VbN6rK1sYh3DA7mQ2xLw9"


@pytest.fixture
def auth() -> TokenAuth:
    return TokenAuth((FIRST, SECOND))


@pytest.mark.parametrize(
    "header", [f"Bearer {FIRST}", f"Bearer {SECOND}", f"bearer {FIRST}", f"Bearer  {FIRST} "]
)
def test_each_of_the_tokens_is_accepted(auth: TokenAuth, header: str) -> None:
    auth.require(header)


@pytest.mark.parametrize(
    "header",
    ["", "Bearer ", f"Bearer {FIRST[:-1]}", f"Bearer {FIRST},{SECOND}"]
    + [f"Bearer {FIRST.lower()}", f"Basic {FIRST}", "Bearer \xff\xfe"],
)
def test_anything_else_is_a_401_that_names_the_scheme(auth: TokenAuth, header: str) -> None:
    with pytest.raises(Problem) as caught:
        auth.require(header)
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer")


def test_every_token_is_compared_always(auth: TokenAuth, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(offered: bytes, own: bytes) -> bool:
        compared.append(own)
        return offered == own

    monkeypatch.setattr("app.http.auth.hmac.compare_digest", compare)

    auth.require(f"Bearer {FIRST}")

    assert compared == [FIRST.encode(), SECOND.encode()]


@pytest.fixture
def clock() -> Clock:
    return Clock(600.0)  # the start of a minute


@pytest.fixture
def limit(redis: RedisClient, clock: Clock) -> RateLimit:
    return RateLimit(redis, "3/minute", clock)


def test_a_client_waits_for_the_next_window(limit: RateLimit, clock: Clock) -> None:
    assert [limit.exceeded("client") for _ in range(4)] == [0, 0, 0, 60]
    waits = []
    for elapsed in (45, 59.99, 60):
        clock.now = 600 + elapsed
        waits.append(limit.exceeded("client"))
    assert waits == [15, 1, 0]


@pytest.mark.parametrize(
    ("others", "wait"),
    [(["2001:db8::2", "2001:DB8:0:0:ffff::1"], 60), (["2001:db8:0:1::1", "::ffff:192.0.2.1"], 0)],
)
def test_an_ipv6_client_is_its_64_bits(limit: RateLimit, others: list[str], wait: int) -> None:
    for client in ("2001:db8::1", *others):
        limit.exceeded(client)
    assert limit.exceeded("2001:db8::1") == wait


def test_all_instances_count_together(limit: RateLimit, redis: RedisClient, clock: Clock) -> None:
    instances = [limit, RateLimit(redis, "3/minute", clock)] * 2
    assert [each.exceeded("client") for each in instances] == [0, 0, 0, 60]


def test_redis_holds_no_address_and_counters_expire(limit: RateLimit, redis: RedisClient) -> None:
    limit.exceeded("192.0.2.7")
    ((key, seconds),) = seconds_left(redis).items()
    assert b"192.0.2.7" not in key
    assert 0 < seconds <= 61


def test_without_redis_no_request_is_refused(unavailable: RedisClient) -> None:
    limit = RateLimit(unavailable, "1/day")
    assert [limit.exceeded("client") for _ in range(3)] == [0, 0, 0]


HALF = MAX_BYTES // 2


@pytest.fixture
def bodies() -> LargeBodies:
    return LargeBodies()


@pytest.fixture
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_bodies, "WAIT_SECONDS", 0.0)


@pytest.mark.usefixtures("_no_wait")
@pytest.mark.parametrize("size", [HALF + 1, 100 * MAX_BYTES])
def test_what_does_not_fit_is_a_503_with_retry_after(bodies: LargeBodies, size: int) -> None:
    with bodies.admit(HALF), pytest.raises(Problem) as refused:
        with bodies.admit(size):
            pass
    assert refused.value.status == 503
    assert int((refused.value.headers or {})["Retry-After"]) > 0


@pytest.mark.usefixtures("_no_wait")
def test_a_larger_body_is_read_alone_and_gives_its_memory_back(bodies: LargeBodies) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            with bodies.admit(100 * MAX_BYTES), bodies.admit(SMALL), bodies.admit(SMALL):
                raise ZeroDivisionError


def test_a_body_waits_for_those_before_it(bodies: LargeBodies) -> None:
    started, entered = threading.Event(), threading.Event()

    def second() -> None:
        started.set()
        with bodies.admit(MAX_BYTES):
            entered.set()

    thread = threading.Thread(target=second)
    with bodies.admit(MAX_BYTES):
        thread.start()
        assert started.wait(20)
        assert not entered.wait(0.05)

    thread.join(20)
    assert entered.is_set()


def test_a_large_body_counts_until_the_answer(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    admit = LargeBodies.admit

    def noted(self: LargeBodies, size: int) -> Any:
        seen.append(size)
        return admit(self, size)

    monkeypatch.setattr(LargeBodies, "admit", noted)

    client.put("/api/v1/cache/large", json="x" * 100_000)
    client.get("/api/v1/cache/large")

    assert seen == [100_002]
