"""Health, the index, the console page, the OpenAPI page, the scrape, info and statistics."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from app.factory import create_app
from app.redis_client.client import RedisClient
from app.services.health import HealthService
from app.utils import metrics
from tests.support.app_parts import make_settings, nowhere

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def test_the_index_lists_links_that_all_work_and_a_browser_gets_a_page(client: FlaskClient) -> None:
    links = client.get("/").get_json()["links"].values()
    page = client.get("/", headers=BROWSER)
    assert {path: client.get(path).status_code for path in links} == dict.fromkeys(links, 200)
    assert page.mimetype == "text/html" and "Accept" in page.vary
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_pages_do_not_need_redis_and_statistics_do() -> None:
    client = create_app(make_settings(REDIS_URL=nowhere())).test_client()
    statuses = [client.get(path, headers=BROWSER).status_code for path in ("/", "/docs")]
    assert statuses == [200, 200]
    assert client.get("/api/v1/stats").status_code == 503


def test_info_names_version_commit_and_instance() -> None:
    settings = make_settings(APP_VERSION="1.2.3", GIT_COMMIT="abc", INSTANCE_ID="web-1")
    info = create_app(settings).test_client().get("/api/v1/info").get_json()
    assert (info["version"], info["commit"], info["instance"]) == ("1.2.3", "abc", "web-1")
    assert info["environment"] == "testing" and info["uptime_seconds"] > 0


def test_statistics_count_requests_by_route(client: FlaskClient) -> None:
    for _ in range(3):
        client.get("/api/v1/info")
    client.get("/nothing")

    stats: dict[str, Any] = client.get("/api/v1/stats").get_json()

    counts = {each["route"]: each["requests"] for each in stats["endpoints"]}
    assert counts == {"/api/v1/info": 3, "unmatched": 1}
    assert stats["users"]["5m"] == 1


@pytest.mark.parametrize(
    ("requests", "users"),
    [
        ([("Bearer one", "", "a"), ("Bearer two", "", "a"), ("Bearer one", "", "b")], 2),
        ([("", "session=one", "a"), ("", "", "a"), ("", "", "b")], 3),
        # No cookie but that of the session makes a user.
        ([("", each, "a") for each in ("theme=dark", "visited_session=1; theme=dark")], 1),
        ([("", each, "a") for each in ("session=one; seen=1", "seen=2;session=one")], 1),
        ([("", each, "a") for each in ("session=one; seen=1", "session=two; seen=1")], 2),
    ],
)
def test_users_are_distinguished_by_token_session_or_address_and_agent(
    app: Flask, requests: list[tuple[str, str, str]], users: int
) -> None:
    client = app.test_client(use_cookies=False)  # or it would send its own in place of ours

    for request in requests:
        headers = dict(zip(("Authorization", "Cookie", "User-Agent"), request, strict=True))
        client.get(
            "/api/v1/info", headers={name: headers[name] for name in headers if headers[name]}
        )

    assert users_in(client) == users


def test_one_address_is_a_limited_number_of_users_whatever_it_sends(app: Flask) -> None:
    client = app.test_client(use_cookies=False)
    for number in range(1000):
        client.get("/api/v1/info", headers={"Authorization": f"Bearer {number}" + "x" * 4000})
    client.get("/api/v1/info", environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    for number in range(100):
        address = f"2001:db8::{number:x}"
        client.get("/api/v1/info", environ_overrides={"REMOTE_ADDR": address})

    assert 60 <= users_in(client) <= 68


def users_in(client: FlaskClient) -> int:
    """Of the last five minutes."""
    return int(client.get("/api/v1/stats").get_json()["users"]["5m"])


def test_the_scrape_is_text_that_prometheus_reads(client: FlaskClient) -> None:
    client.get("/api/v1/info")

    response = client.get("/metrics")

    families = {family.name for family in text_string_to_metric_families(response.text)}
    assert response.content_type.startswith("text/plain; version=")
    declared = [each for each in vars(metrics).values() if isinstance(each, metrics.AnyMetric)]
    assert families >= {metrics.series_name(each).removesuffix("_total") for each in declared}
    assert families >= {"process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds"}


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ('application/openmetrics-text; version="1.0.0"', "application/openmetrics-text"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics"),
        ('application/openmetrics-text; version="x"; q=1', "application/openmetrics-text"),
        ('text/plain; version="0.0.4"', "text/plain"),
        ("text/plain; version=ü; escaping=?", "text/plain"),
        ("application/openmetrics-text; version=1", "application/openmetrics-text"),
        ("application/openmetrics-text; version", "application/openmetrics-text"),
        ("; , =", "text/plain"),
    ],
)
def test_scrapers_may_accept_in_any_way(
    client: FlaskClient, accept: str, content_type: str
) -> None:
    response = client.get("/metrics", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.content_type.startswith(content_type)


def test_it_is_healthy_when_redis_answers_and_no_probe_is_cached(client: FlaskClient) -> None:
    response = client.get("/health")

    body: dict[str, Any] = response.get_json()
    assert (response.status_code, body["status"]) == (200, "healthy")
    assert body["checks"]["redis"]["status"] == "embedded"
    assert body["checks"]["redis"]["latency_ms"] > 0
    assert body["uptime_seconds"] > 0 and body["version"]
    for path in ("/health", "/health/live", "/health/ready"):
        assert client.get(path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("required", "health", "ready"),
    [
        ("false", (200, "degraded"), (200, "ready")),
        ("true", (503, "unhealthy"), (503, "redis is unavailable")),
    ],
)
def test_without_redis_it_is_alive_and_serves_unless_redis_is_required(
    make_client: Callable[..., FlaskClient],
    required: str,
    health: tuple[int, str],
    ready: tuple[int, str],
) -> None:
    client = make_client(REDIS_URL=nowhere(), READINESS_REQUIRES_REDIS=required)
    for path, expected in (("", health), ("/ready", ready), ("/live", (200, "alive"))):
        answer = client.get(f"/health{path}")
        assert (answer.status_code, answer.get_json()["status"]) == expected
    checks = client.get("/health").get_json()["checks"]
    assert checks["redis"] == {"status": "unhealthy", "latency_ms": None}


def test_it_is_ready_when_the_required_redis_answers(redis: RedisClient) -> None:
    assert HealthService(redis, True, lambda: False, lambda: 0.0).ready() == (True, "ready")


@pytest.mark.usefixtures("draining")
def test_while_draining_it_is_not_ready_and_degraded(client: FlaskClient) -> None:
    ready, report = client.get("/health/ready"), client.get("/health")
    assert (ready.status_code, ready.json) == (503, {"status": "draining"})
    assert (report.status_code, report.get_json()["status"]) == (200, "degraded")
    assert report.get_json()["checks"]["lifecycle"] == {"status": "draining"}
