"""docs/TROUBLESHOOTING.md: each symptom is brought about, and the page has its very words."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.support.gunicorn_server import ROOT, GunicornServer
from tests.support.redis_server import RedisServer

PAGE = (ROOT / "docs" / "TROUBLESHOOTING.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^### (.*)", PAGE, re.MULTILINE)
TOKEN = "token-of-the-troubleshooting-tests"
JSON = {"Content-Type": "application/json"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
DEMO = "/api/v1/demo"


@dataclass(frozen=True)
class Symptom:
    """A request that is refused or fails, and the settings that make it so."""

    status: int
    method: str = "GET"
    path: str = "/api/v1/items"
    settings: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    times: int = 1


SYMPTOMS = [
    Symptom(401, "POST", settings={"API_TOKENS": TOKEN}, headers=JSON, body=b"{}"),
    Symptom(403, "POST", f"{DEMO}/faults", headers=JSON, body=b"{}"),
    Symptom(400, settings={"TRUSTED_HOSTS": "shop.example"}),
    Symptom(400, "POST", headers=JSON, body=b'{name: "Tea"}'),
    Symptom(415, "POST", body=b'{"name": "Tea"}'),
    Symptom(413, "POST", settings={"MAX_CONTENT_LENGTH": "1024"}, headers=JSON, body=b"1" * 2000),
    Symptom(429, path="/api/v1/info", settings={"RATE_LIMIT": "1/hour"}, times=2),
    Symptom(404, path=f"{DEMO}/status/404", settings={"DEMO_ENABLED": "false"}),
]


def send(server: GunicornServer, symptom: Symptom) -> requests.Response:
    return requests.request(
        symptom.method,
        server.base_url + symptom.path,
        headers={"Content-Type": "", **symptom.headers},
        data=symptom.body,
        timeout=10,
    )


def assert_found(status: int, detail: str) -> None:
    """A heading with the status stands there, and the words under it or in it."""
    section = [
        part
        for part in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
        if part.startswith(str(status)) and any(words in detail for words in quoted(part))
    ]
    assert section, detail


def quoted(section: str) -> list[str]:
    return [words for words in re.findall(r"`([^`\n]+)`", section) if " " in words]


@pytest.mark.parametrize("symptom", SYMPTOMS, ids=lambda one: f"{one.status} {one.path}")
def test_a_refusal_is_found_by_its_status_and_words(symptom: Symptom) -> None:
    with GunicornServer({"DRAIN_SECONDS": "0", **symptom.settings}) as server:
        for _ in range(symptom.times):
            response = send(server, symptom)

    assert response.status_code == symptom.status
    assert_found(symptom.status, response.json()["detail"])


def test_a_drill_is_found_by_its_words_and_ended_as_the_page_says() -> None:
    with GunicornServer({"DRAIN_SECONDS": "0", "API_TOKENS": TOKEN}) as server:
        faults, info = f"{server.base_url}{DEMO}/faults", f"{server.base_url}/api/v1/info"
        requests.post(faults, json={"error_rate": 1}, headers=BEARER, timeout=5).raise_for_status()
        failed = requests.get(info, timeout=5)
        requests.delete(faults, headers=BEARER, timeout=5).raise_for_status()

        assert failed.status_code == 500
        assert_found(500, failed.json()["detail"])
        assert requests.get(info, timeout=5).status_code == 200


def full(own_redis: RedisServer, server: GunicornServer) -> requests.Response:
    """The answer to a write that a full Redis refuses."""
    client = own_redis.client()
    client.config_set("maxmemory-policy", "volatile-lfu")
    client.config_set("maxmemory", 1)
    return requests.post(f"{server.base_url}/api/v1/items", json={"name": "Tea"}, timeout=5)


def test_a_full_store_is_found_by_its_words_goes_on_reading_and_is_mended_by_more_memory(
    own_redis: RedisServer,
) -> None:
    settings = {
        "DRAIN_SECONDS": "0",
        "REDIS_URL": own_redis.url,
        "REDIS_TIMEOUT_MS": "10000",  # a busy machine is no reason to give up
        "WEB_CONCURRENCY": "1",
    }
    with GunicornServer(settings) as server:
        refused = full(own_redis, server)

        assert refused.status_code == 507
        assert_found(507, refused.json()["detail"])
        for path in ("/api/v1/items", "/api/v1/stats", "/api/v1/cache"):
            assert requests.get(server.base_url + path, timeout=5).status_code == 200, path
        own_redis.client().config_set("maxmemory", "64mb")
        again = requests.post(f"{server.base_url}/api/v1/items", json={"name": "Tea"}, timeout=5)
        assert again.status_code == 201


def test_a_store_that_is_away_is_found_by_its_words(own_redis: RedisServer) -> None:
    settings = {"DRAIN_SECONDS": "0", "REDIS_URL": own_redis.url, "WEB_CONCURRENCY": "1"}
    with GunicornServer(settings) as server:
        own_redis.kill()
        failed = requests.get(f"{server.base_url}/api/v1/items", timeout=5)

    assert failed.status_code == 503
    assert_found(503, failed.json()["detail"])


@pytest.mark.parametrize(
    "settings",
    [
        {"LOG_LEVEL": "LOUD"},
        {"APP_ENV": "production"},
        {"APP_ENV": "production", "SECRET_KEY": "change-me" * 4},
    ],
    ids=["wrong", "missing", "placeholder"],
)
def test_a_start_that_is_refused_is_found_by_its_words(settings: dict[str, Any]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    words = [words for heading in HEADINGS for words in re.findall(r"`([^`]+)`", heading)]
    assert done.returncode != 0
    assert any(each in done.stderr for each in words), done.stderr


def test_no_cache_in_a_request_is_what_makes_every_answer_a_bypass() -> None:
    assert "### `X-Cache: BYPASS` on every request" in PAGE
    with GunicornServer({"DRAIN_SECONDS": "0"}) as server:
        url, headers = f"{server.base_url}/api/v1/items", {"Cache-Control": "no-cache"}
        caches = [requests.get(url, headers=headers, timeout=5).headers["X-Cache"] for _ in "12"]

    assert caches == ["BYPASS", "BYPASS"]
