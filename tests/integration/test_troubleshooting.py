"""docs/TROUBLESHOOTING.md: the texts that it names are those that the service prints."""

import logging
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.config import SettingsError
from app.factory import create_app
from tests.support.app_parts import BEARER, TOKEN, make_settings, nowhere
from tests.support.browser import NO_BROWSER
from tests.support.missing import NO_REDIS
from tests.support.paths import ROOT
from tests.support.redis_server import RedisServer
from tests.support.service import EMBEDDED, StartService

PAGE = (ROOT / "docs" / "TROUBLESHOOTING.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^### (.*)", PAGE, re.MULTILINE)
DEMO = "/api/v1/demo"
INFO = "/api/v1/info"
ITEMS = "/api/v1/items"


def section(heading: str) -> str:
    return PAGE.split(f"\n### {heading}\n")[1].split("\n#")[0]


def client(**settings: str) -> FlaskClient:
    return create_app(make_settings(**settings)).test_client()


def assert_found(status: int, found: int, answer: Any) -> None:
    """The status is as expected, and a section about it quotes the answer's detail."""
    sections = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    quotes = [
        quote
        for text in sections
        if text.startswith(str(status))
        for quote in re.findall(r"`([^`\n]+ [^`\n]+)`", text)
    ]
    assert found == status
    assert any(quote in answer["detail"] for quote in quotes), answer


@pytest.mark.parametrize(
    ("status", "settings", "request_line", "body"),
    [
        (401, {"API_TOKENS": TOKEN}, f"POST {ITEMS}", {"json": {}}),
        (403, {}, f"POST {DEMO}/faults", {"json": {}}),
        (400, {"TRUSTED_HOSTS": "shop.example"}, f"GET {ITEMS}", {}),
        (400, {}, f"POST {ITEMS}", {"data": "{name: 1}", "content_type": "application/json"}),
        (415, {}, f"POST {ITEMS}", {"data": b'{"name": "Tea"}'}),
        (413, {"MAX_CONTENT_LENGTH": "1024"}, f"POST {ITEMS}", {"json": "1" * 2000}),
        (404, {"DEMO_ENABLED": "false"}, f"GET {DEMO}/status/404", {}),
        (503, {"REDIS_URL": nowhere()}, f"GET {ITEMS}", {}),
        (429, {"RATE_LIMIT": "1/hour"}, f"GET {INFO}", {}),
    ],
)
def test_a_refusal_is_found_by_its_status_and_text(
    status: int, settings: dict[str, str], request_line: str, body: dict[str, Any]
) -> None:
    method, path = request_line.split()
    asking = client(**settings)
    if status == 429:
        asking.get(path)
    response = asking.open(path, method=method, **body)
    assert_found(status, response.status_code, response.json)


def test_a_fault_is_found_by_its_text_and_ended_as_the_page_says() -> None:
    faulty = client(API_TOKENS=TOKEN)
    faulty.post(f"{DEMO}/faults", json={"error_rate": 1}, headers=BEARER)
    failed = faulty.get(INFO)
    faulty.delete(f"{DEMO}/faults", headers=BEARER)
    assert_found(500, failed.status_code, failed.json)
    assert faulty.get(INFO).status_code == 200


def test_a_full_store_is_found_by_its_text_answers_reads_and_needs_only_more_memory(
    start_service: StartService, own_redis: RedisServer
) -> None:
    settings = {"REDIS_TIMEOUT_MS": "10000", "WEB_CONCURRENCY": "1"}
    with start_service(redis=own_redis.url, **settings) as service:
        item = service.post(ITEMS, {"name": "Tea"})
        client = own_redis.client()
        client.config_set("maxmemory-policy", "volatile-lfu")
        client.config_set("maxmemory", 1)

        refused = service.post(ITEMS, {"name": "Tea"})
        assert_found(507, refused.status_code, refused.json())
        for path in (item.headers["Location"], ITEMS, "/api/v1/stats", "/api/v1/cache"):
            assert service.get(path).status_code == 200, path
        client.config_set("maxmemory", "64mb")
        assert service.post(ITEMS, {"name": "Tea"}).status_code == 201


def test_a_bug_is_found_by_its_text() -> None:
    app = create_app(make_settings())

    @app.get("/bug")
    def bug() -> str:
        raise ZeroDivisionError

    answer = app.test_client().get("/bug").json
    assert answer is not None
    assert f"\n### 500 `{answer['detail']}`\n" in PAGE


@pytest.mark.parametrize(
    "settings",
    [
        {"LOG_LEVEL": "LOUD"},
        {"APP_ENV": "production"},
        {"APP_ENV": "production", "SECRET_KEY": "change-me" * 4},
    ],
    ids=["wrong", "missing", "placeholder"],
)
def test_a_refused_start_is_found_by_its_text(settings: dict[str, str]) -> None:
    quotes = [quote for heading in HEADINGS for quote in re.findall(r"`([^`]+)`", heading)]
    with pytest.raises(SettingsError) as refused:
        make_settings(**settings)
    said = f"devops-starter: {refused.value}"
    assert any(quote in said for quote in quotes), said


def test_a_422_names_the_location_as_the_page_shows() -> None:
    item = client().post(ITEMS, json={"name": 5})
    entry = client().put("/api/v1/cache/key?ttl=0", json=1)
    errors = [answer.json["errors"][0] for answer in (item, entry) if answer.json]
    shown = re.findall(r"`(\w+\.\w+)`", section("422 with `errors`"))
    assert [error["location"] for error in errors] == shown
    assert all(error["message"] for error in errors)


def test_with_the_log_level_warning_only_failures_are_written(start_service: StartService) -> None:
    assert "`LOG_LEVEL=WARNING`" in section("Request lines are missing from the log")
    with start_service(redis=EMBEDDED, LOG_LEVEL="WARNING") as service:
        for path in (INFO, "/nothing", f"{DEMO}/status/503"):
            service.get(path)
        assert [r["status"] for r in service.log_records if "status" in r] == [503]


@pytest.mark.parametrize(
    ("networks", "address"), [("", "127.0.0.1"), ("127.0.0.0/8", "203.0.113.9")]
)
def test_the_client_is_the_proxy_until_its_network_is_trusted(
    caplog: pytest.LogCaptureFixture, networks: str, address: str
) -> None:
    assert "`FORWARDED_ALLOW_IPS`" in section("`client_ip` is the proxy's address")
    caplog.set_level(logging.INFO)
    headers = {"X-Forwarded-For": "203.0.113.9"}
    client(FORWARDED_ALLOW_IPS=networks).get(INFO, headers=headers)
    (line,) = (vars(record) for record in caplog.records if record.name == "app.request")
    assert line["client_ip"] == address


def test_the_page_names_what_skipped_and_slow_tests_say() -> None:
    for said in (NO_REDIS, NO_BROWSER):
        assert f"`{said.partition(':')[0]}`" in PAGE
    assert re.search(r"### `took [\d.]+ s, over the [\d.]+ s for a test not marked slow`", PAGE)
