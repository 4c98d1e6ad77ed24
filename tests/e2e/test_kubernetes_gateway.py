"""Behind a Gateway or an Ingress, with a Redis that is not the chart's."""

import json
import math
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.e2e.cluster import IMAGE, Release, helm, installed, kubectl, load_images, pod
from tests.support.load import Load, Request, statuses

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NAMESPACE = "e2e-gateway"
# Of the controller, on each node.
PORT = 30080
HOST = {"Host": "shop.example"}
ROUTES: dict[str, dict[str, str]] = {
    "gateway/public": {
        "gateway.enabled": "true",
        "gateway.parentRefs[0].name": "public",
        "gateway.parentRefs[0].namespace": "gateway",
        "gateway.hostnames[0]": HOST["Host"],
    },
    "ingressclass/traefik": {
        "ingress.enabled": "true",
        "ingress.className": "traefik",
        "ingress.hosts[0]": HOST["Host"],
    },
}
PASSWORD = secrets.token_hex()
REDIS = f"exec redis-server --save '' --requirepass {PASSWORD}"


@pytest.fixture(scope="module", params=ROUTES)
def release(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    if "error" in kubectl("get", request.param, "-n", "gateway", check=False).lower():
        pytest.skip(f"NO {request.param.upper()} in namespace gateway, with node port {PORT}")
    load_images()
    keys = {"secret_key": secrets.token_hex(), "api_token": secrets.token_hex(), "mine": PASSWORD}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}}
    redis = pod("elsewhere", "redis:8.0-alpine", ["sh", "-c", REDIS], 6379)
    settings: dict[str, Any] = {
        "existingSecret": "mine",
        "redis.mode": "external",
        "redis.url": f"redis://elsewhere.{NAMESPACE}.svc.cluster.local.:6379/0",
        "redis.passwordKey": "mine",
        "trustedProxies[0]": "10.244.0.0/16",
        **ROUTES[request.param],
    }
    beside = [secret | {"stringData": keys}, *redis]
    folder = tmp_path_factory.mktemp("gateway")
    with installed(folder, NAMESPACE, beside=beside, **settings) as running:
        yield running


@pytest.fixture
def url(release: Release) -> str:
    return f"http://{release.entry}:{PORT}"


def test_it_works_with_a_redis_elsewhere(release: Release) -> None:
    said = helm("test", release.name, "--namespace", NAMESPACE)

    assert said.count("Succeeded") == 5, said
    assert release.objects("statefulsets", "redis") == []


def test_clients_are_told_apart_behind_the_gateway(url: str) -> None:
    """A client's own X-Forwarded-For names nobody: the gateway adds the address it sees."""
    mark = secrets.token_hex(8)
    forged = {"X-Request-ID": mark, "X-Forwarded-For": "203.0.113.9", **HOST}
    assert requests.get(f"{url}/api/v1/info", headers=forged, timeout=10).ok

    pods = ("--selector", "app.kubernetes.io/component=edge", "--tail", "-1")
    time.sleep(1)
    lines = kubectl("-n", NAMESPACE, "logs", *pods, "-c", "nginx").splitlines()
    (line,) = (json.loads(each) for each in lines if mark in each)
    gateways = kubectl("-n", "gateway", "get", "pods", "-o", "jsonpath={..podIP}").split()
    assert line["client_ip"] not in {"203.0.113.9", *gateways}


def test_an_upgrade_loses_no_request_behind_the_gateway(release: Release, url: str) -> None:
    info = [Request("GET", path, headers=HOST) for path in ("/api/v1/info", "/api/v1/items")]
    with Load(url, info, connections=20, rate=60, seconds=math.inf) as load:
        time.sleep(2)
        release.upgrade(image__tag=f"{IMAGE.partition(':')[2]}-next")
        time.sleep(3)

    assert len(load.answers) > 300
    assert statuses(load.answers).keys() == {200}
