"""docs/TROUBLESHOOTING.md: what answers, but not as expected, and what the tests say."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests

from app.factory import create_app
from tests import conftest
from tests.support import browser
from tests.support.app_parts import make_settings
from tests.support.gunicorn_server import ROOT, GunicornServer

PAGE = (ROOT / "docs" / "TROUBLESHOOTING.md").read_text(encoding="utf-8")
INFO = "/api/v1/info"


def section(heading: str) -> str:
    """What stands under a heading, which must be there."""
    return PAGE.split(f"\n### {heading}\n")[1].split("\n#")[0]


def last_request(server: GunicornServer) -> dict[str, Any]:
    return [record for record in server.log_records if "client_ip" in record][-1]


def test_a_422_says_where_and_what() -> None:
    where = re.findall(r"`(\w+\.\w+)`", section("422 with `errors`"))
    with GunicornServer({"DRAIN_SECONDS": "0"}) as server:
        item = requests.post(f"{server.base_url}/api/v1/items", json={"name": 5}, timeout=5)
        entry = requests.put(f"{server.base_url}/api/v1/cache/key?ttl=0", json=1, timeout=5)

    errors = [answer.json()["errors"][0] for answer in (item, entry)]
    assert [error["location"] for error in errors] == where
    assert all(error["message"] for error in errors)


def test_a_bug_is_found_by_its_words() -> None:
    app = create_app(make_settings())

    @app.get("/bug")
    def bug() -> None:
        raise ZeroDivisionError

    answer = app.test_client().get("/bug").json
    assert answer is not None
    assert f"\n### 500 `{answer['detail']}`\n" in PAGE


@pytest.mark.slow
def test_without_a_redis_url_health_says_embedded_and_a_restart_forgets() -> None:
    assert "`/health` says `embedded`" in section("Everything is gone after a restart")
    entry = "/api/v1/cache/key"
    with GunicornServer({"DRAIN_SECONDS": "0"}) as server:
        health = requests.get(f"{server.base_url}/health", timeout=5).json()
        requests.put(server.base_url + entry, json=1, timeout=5).raise_for_status()
        server.stop()
        server.start()
        again = requests.get(server.base_url + entry, timeout=5)

    assert health["checks"]["redis"]["status"] == "embedded"
    assert again.status_code == 404


def test_with_the_log_level_warning_only_failures_are_written() -> None:
    assert "`LOG_LEVEL=WARNING`" in section("Request lines are missing from the log")
    with GunicornServer({"DRAIN_SECONDS": "0", "LOG_LEVEL": "WARNING"}) as server:
        for path in (INFO, "/nothing", "/api/v1/demo/status/503"):
            requests.get(server.base_url + path, timeout=5)

        assert [r["status"] for r in server.log_records if "status" in r] == [503]


@pytest.mark.parametrize(
    ("networks", "client"), [("", "127.0.0.1"), ("127.0.0.0/8", "203.0.113.9")]
)
def test_the_client_is_the_proxy_until_its_network_is_named(networks: str, client: str) -> None:
    assert "`FORWARDED_ALLOW_IPS`" in section("`client_ip` is the proxy's address")
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    with GunicornServer({"DRAIN_SECONDS": "0", "FORWARDED_ALLOW_IPS": networks}) as server:
        requests.get(server.base_url + INFO, headers=forwarded, timeout=5)

        assert last_request(server)["client_ip"] == client


@pytest.mark.parametrize(
    ("secure", "host", "kept"),
    [("true", "shop.test", False), ("true", "localhost", True), ("false", "shop.test", True)],
)
def test_a_secure_cookie_comes_back_over_https_or_from_localhost_alone(
    tmp_path: Path, secure: str, host: str, kept: bool
) -> None:
    assert "`SESSION_COOKIE_SECURE=false`" in section("A session is empty on the next request")
    jar = ("--cookie", str(tmp_path / "jar"), "--cookie-jar", str(tmp_path / "jar"))
    with GunicornServer({"DRAIN_SECONDS": "0", "SESSION_COOKIE_SECURE": secure}) as server:
        here = ("--resolve", f"{host}:{server.port}:127.0.0.1")
        url = f"http://{host}:{server.port}/api/v1/session"
        body = ("--request", "PUT", "--json", '{"user": "ada"}')
        for more in (body, ()):
            command = ["curl", "--silent", "--fail", "--noproxy", "*", *jar, *here, *more, url]
            answer = subprocess.check_output(command, text=True, timeout=20)

    assert ('"user":"ada"' in answer) is kept


def test_what_left_out_tests_and_slow_ones_say_stands_there() -> None:
    for said in (conftest.NO_REDIS, browser.NO_BROWSER):
        assert f"`{said.partition(':')[0]}`" in PAGE
    too_slow = "s for a test not marked slow"
    assert re.search(rf"### `took [\d.]+ s, over the [\d.]+ {too_slow}`", PAGE)
    assert too_slow in Path(conftest.__file__).read_text(encoding="utf-8")
