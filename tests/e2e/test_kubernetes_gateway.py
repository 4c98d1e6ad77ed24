"""Behind a Gateway, with a Redis that is not the chart's."""

import json
import math
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.e2e.cluster import IMAGE, Release, helm, installed, kubectl, load_images, pod
from tests.support.load import Load, statuses

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NAMESPACE = "e2e-gateway"
GATEWAY = ("gateway", "public")
GATEWAY_PORT = 30080  # of each node
NO_GATEWAY = f"NO GATEWAY: {'/'.join(GATEWAY)} with node port {GATEWAY_PORT}, of the Gateway API"
PASSWORD = secrets.token_hex()
REDIS = f"exec redis-server --save '' --requirepass {PASSWORD}"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    if not kubectl("get", "gateways", "-n", *GATEWAY, "-o", "name", check=False).startswith("gat"):
        pytest.skip(NO_GATEWAY)
    load_images()
    keys = {"secret_key": secrets.token_hex(), "api_token": secrets.token_hex(), "mine": PASSWORD}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}}
    redis = pod("elsewhere", "redis:8.0-alpine", ["sh", "-c", REDIS], 6379)
    settings: dict[str, Any] = {
        "existingSecret": "mine",
        "redis.mode": "external",
        "redis.url": f"redis://elsewhere.{NAMESPACE}.svc.cluster.local.:6379/0",
        "redis.passwordKey": "mine",
        "gateway.enabled": "true",
        "gateway.parentRefs[0].name": GATEWAY[1],
        "gateway.parentRefs[0].namespace": GATEWAY[0],
        "trustedProxies[0]": "10.244.0.0/16",
    }
    beside = [secret | {"stringData": keys}, *redis]
    folder = tmp_path_factory.mktemp("gateway")
    with installed(folder, NAMESPACE, beside=beside, **settings) as running:
        yield running


@pytest.fixture
def url(release: Release) -> str:
    return f"http://{release.entry}:{GATEWAY_PORT}"


def test_it_works_with_a_redis_elsewhere(release: Release) -> None:
    said = helm("test", release.name, "--namespace", NAMESPACE)

    assert said.count("Succeeded") == 5, said
    assert release.objects("statefulsets", "redis") == []


def test_clients_are_told_apart_behind_the_gateway(url: str) -> None:
    """A client's own X-Forwarded-For names nobody: the gateway adds the address it sees."""
    mark = secrets.token_hex(8)
    forged = {"X-Request-ID": mark, "X-Forwarded-For": "203.0.113.9"}
    assert requests.get(f"{url}/api/v1/info", headers=forged, timeout=10).ok

    pods = ("--selector", "app.kubernetes.io/component=edge", "--tail", "-1")
    time.sleep(1)
    lines = kubectl("-n", NAMESPACE, "logs", *pods, "-c", "nginx").splitlines()
    (line,) = (json.loads(each) for each in lines if mark in each)
    gateways = kubectl("-n", GATEWAY[0], "get", "pods", "-o", "jsonpath={..podIP}").split()
    assert line["client_ip"] not in {"203.0.113.9", *gateways}


def test_an_upgrade_loses_no_request_behind_the_gateway(release: Release, url: str) -> None:
    info = [("GET", "/api/v1/info"), ("GET", "/api/v1/items")]
    with Load(url, info, connections=20, rate=60, seconds=math.inf) as load:
        time.sleep(2)
        release.upgrade(image__tag=f"{IMAGE.partition(':')[2]}-next")
        time.sleep(3)

    assert len(load.answers) > 300
    assert statuses(load.answers).keys() == {200}
