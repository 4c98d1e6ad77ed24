"""KEDA scales the service by its own metrics, and the chart leaves the number of pods to it."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import Release, forwarded, installed, kubectl, load_images
from tests.e2e.prometheus import Prometheus
from tests.support.load import Load, statuses
from tests.support.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NAMESPACE = "e2e-keda"
NO_KEDA = "NO KEDA, or no Prometheus in namespace monitoring"
# Without traffic or data KEDA would take 0 for an answer: it keeps what runs (ignoreNullValues).
SCALED = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "web"},
    "spec": {
        "scaleTargetRef": {"name": "web-devops-starter-web"},
        "minReplicaCount": 2,
        "maxReplicaCount": 4,
        "pollingInterval": 5,
        "triggers": [
            {
                "type": "prometheus",
                "metadata": {
                    "serverAddress": "http://prometheus.monitoring:9090",
                    "query": f'sum(rate(http_requests_total{{namespace="{NAMESPACE}"}}[1m]))',
                    "threshold": "50",
                    "ignoreNullValues": "false",
                },
            }
        ],
    },
}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    for kind in ("crd/scaledobjects.keda.sh", "crd/prometheuses.monitoring.coreos.com"):
        if "NotFound" in kubectl("get", kind, check=False):
            pytest.skip(NO_KEDA)
    load_images()
    settings: dict[str, Any] = {
        "metrics__serviceMonitor__enabled": "true",
        "metrics__serviceMonitor__interval": "5s",
        "autoscaling__external": "true",
    }
    folder = tmp_path_factory.mktemp("keda")
    with installed(folder, NAMESPACE, **settings) as running:
        path = folder / "scaled.yaml"
        path.write_text(yaml.safe_dump(SCALED), encoding="utf-8")
        kubectl("apply", "-n", NAMESPACE, "-f", str(path))
        yield running


def test_requests_start_more_replicas_and_an_upgrade_keeps_them(release: Release) -> None:
    with forwarded("monitoring", "service/prometheus", 9090) as url:
        up = f'up{{namespace="{NAMESPACE}", job="web"}}'
        # prometheus-operator takes minutes to see a new ServiceMonitor.
        wait_until(
            lambda: bool(Prometheus(url).query(up)), seconds=300, interval=2, why="it is scraped"
        )
    info = [("GET", "/api/v1/info")]
    with Load(release.http, info, connections=20, rate=300, seconds=math.inf) as load:
        wait_until(
            lambda: len(release.objects("pods", "web")) == 4, seconds=180, why="there are four"
        )
        release.upgrade(config__LOG_LEVEL="WARNING")
        number = release.get(
            "deployment", f"{release.fullname}-web", "-o", "jsonpath={.spec.replicas}"
        )

    assert number == "4"
    assert statuses(load.answers).keys() == {200}
