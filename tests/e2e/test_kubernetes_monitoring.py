"""What the chart gives prometheus-operator: scraped, evaluated, drawn, and told to somebody."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import CHART, IMAGE, Release, forwarded, installed, kubectl, load_images, pod
from tests.e2e.load import MixedLoad
from tests.e2e.prometheus import Prometheus
from tests.support.monitoring import (
    COMPOSE,
    MONITORING,
    all_rules,
    dashboards,
    fill_in,
    panels,
    read_yaml,
)
from tests.support.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# New each time: Prometheus remembers what was wrong in the last one.
NAMESPACE = f"e2e-monitoring-{secrets.token_hex(3)}"
OPERATOR = "monitoring"  # the namespace of a Prometheus that takes every ServiceMonitor and rule
NO_OPERATOR = f"NO OPERATOR: {OPERATOR} has no Prometheus of prometheus-operator"
PODS = {"web": 2, "edge": 2, "nginx": 2, "redis": 1}
BLACKBOX = read_yaml(COMPOSE)["services"]["blackbox-exporter"]["image"]
BLACKBOX_COMMAND = "exec /bin/blackbox_exporter --config.file=/tmp/c"
METRICS = yaml.safe_load((CHART / "values.yaml").read_text())["metrics"]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    if "prometheus" not in kubectl("get", "services", "-n", OPERATOR, check=False):
        pytest.skip(NO_OPERATOR)
    every_probe = '{"spec": {"probeSelector": {}, "probeNamespaceSelector": {}}}'
    for each in kubectl("get", "prometheuses", "-n", OPERATOR, "-o", "name").split():
        kubectl("patch", each, "-n", OPERATOR, "--type=merge", "--patch", every_probe)
    load_images(BLACKBOX)
    settings: dict[str, Any] = {
        f"metrics__{name}__enabled": "true" for name in ("serviceMonitor", "rules")
    }
    settings["metrics__probe__prober"] = f"blackbox.{NAMESPACE}:9115"
    for number, scheme in enumerate(("http", "https")):
        url = f"{scheme}://web-devops-starter-edge.{NAMESPACE}/health"
        settings[f"metrics__probe__targets[{number}]"] = url
    folder = tmp_path_factory.mktemp("monitoring")
    with installed(folder, NAMESPACE, beside=_helpers(), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(release: Release) -> Iterator[Prometheus]:
    """Under a steady load, once it scrapes the release: a new ServiceMonitor takes minutes."""
    with (
        forwarded(OPERATOR, "service/prometheus", 9090) as url,
        MixedLoad(release, rate=20, repeats=True),
    ):
        found = Prometheus(url)
        wait_until(
            lambda: {one["metric"]["job"] for one in found.query(_ours("up"))} >= PODS.keys(),
            seconds=300,
            interval=2,
            why="the ServiceMonitors are scraped",
        )
        time.sleep(90)  # the longest interval of a rule, and a value to compare with
        yield found


def test_each_pod_is_scraped_once(prometheus: Prometheus) -> None:
    """Two Services with the same label would count every request twice."""
    found = prometheus.query(f"count by (job) ({_ours('up')} == 1)")

    assert {one["metric"]["job"]: int(one["value"][1]) for one in found} == PODS


def test_every_rule_is_evaluated(prometheus: Prometheus) -> None:
    """One bad expression takes all rules of its object away, and nothing says so."""
    folder = MONITORING / "prometheus" / "rules"
    expected = [
        _name(rule)
        for rule in all_rules([folder / f"{each}.yml" for each in METRICS["rules"]["files"]])
    ]
    groups = [one for one in prometheus.ask("rules")["groups"] if NAMESPACE in one["file"]]

    assert sorted(_name(rule) for one in groups for rule in one["rules"]) == sorted(expected)
    assert {rule["health"] for one in groups for rule in one["rules"]} == {"ok"}


@pytest.mark.parametrize("name", METRICS["dashboards"]["files"])
def test_every_panel_has_data(prometheus: Prometheus, name: str) -> None:
    empty = [
        f"{panel['title']}: {target['expr']}"
        for panel in panels(dashboards()[f"{name}.json"])
        for target in panel.get("targets", [])
        if not prometheus.query(fill_in(target["expr"], seconds=900))
    ]

    assert not empty


def test_an_outage_of_the_service_is_told(release: Release, prometheus: Prometheus) -> None:
    with _no_pods(release):
        _wait_until_told(release, "ErrorBudgetBurnsFast", seconds=120)
    assert prometheus.query('ALERTS{alertname="ErrorBudgetBurnsFast", namespace="%s"}' % NAMESPACE)


def test_a_redis_whose_image_is_missing_is_told(release: Release, prometheus: Prometheus) -> None:
    """By what the service says, and by what kube-state-metrics says of its pod."""
    told = ["RedisDown"]
    if prometheus.query('up{job="kube-state-metrics"}'):
        told += ["NoPodReady", "PodsMissing", "PodPending"]
    else:
        print("NO KUBE-STATE-METRICS: its alerts are not waited for")
    target = ("-n", NAMESPACE, f"statefulset/{release.fullname}-redis")
    kubectl("set", "image", *target, "redis=nowhere.invalid/redis:0")
    try:
        for alert in told:
            _wait_until_told(release, alert, seconds=480)
    finally:
        kubectl("rollout", "undo", *target)
        # A StatefulSet waits for a pod that cannot start (kubernetes/kubernetes issue 67250).
        kubectl("delete", "pod", "-n", NAMESPACE, f"{release.fullname}-redis-0")
        kubectl("rollout", "status", *target, "--timeout=120s")


def _name(rule: dict[str, Any]) -> str:
    return str(rule.get("name") or rule.get("record") or rule.get("alert"))


def _ours(metric: str) -> str:
    return f'{metric}{{namespace="{NAMESPACE}", job=~"{"|".join(PODS)}"}}'


@contextmanager
def _no_pods(release: Release) -> Iterator[None]:
    """Of the service; afterwards as many as before."""
    target = ("-n", NAMESPACE, f"deployment/{release.fullname}-web")
    kubectl("scale", *target, "--replicas=0")
    try:
        yield
    finally:
        kubectl("scale", *target, f"--replicas={PODS['web']}")
        kubectl("rollout", "status", *target, "--timeout=120s")


def _wait_until_told(release: Release, alert: str, seconds: float) -> None:
    begun = time.monotonic()

    def told() -> bool:
        lines = kubectl("logs", "-n", release.namespace, "alert-receiver").splitlines()
        messages = [json.loads(line) for line in lines if line.startswith("{")]
        names = {one["labels"]["alertname"] for each in messages for one in each["alerts"]}
        return alert in names

    wait_until(told, seconds=seconds, interval=1, why=f"{alert} is told")
    print(f"{alert}: told after {time.monotonic() - begun:.0f} s")


def _helpers() -> list[dict[str, Any]]:
    """A pod that writes down what Alertmanager sends, and the way there; a blackbox exporter."""
    program = (Path(__file__).parent / "alert_receiver.py").read_text()
    any_certificate = {"prober": "http", "http": {"tls_config": {"insecure_skip_verify": True}}}
    config = yaml.safe_dump({"modules": {"http_2xx": any_certificate}})
    route = {"receiver": "receiver", "groupWait": "1s", "groupInterval": "5s"}
    webhook = {"url": f"http://alert-receiver.{NAMESPACE}:8099/"}
    receiver = {"name": "receiver", "webhookConfigs": [webhook]}
    return [
        *pod("alert-receiver", IMAGE, ["python", "-c", program], 8099),
        {
            "apiVersion": "monitoring.coreos.com/v1alpha1",
            "kind": "AlertmanagerConfig",
            "metadata": {"name": "alert-receiver"},
            "spec": {"route": route, "receivers": [receiver]},
        },
        *pod(
            "blackbox", BLACKBOX, ["sh", "-c", f"echo '{config}' >/tmp/c; {BLACKBOX_COMMAND}"], 9115
        ),
    ]
