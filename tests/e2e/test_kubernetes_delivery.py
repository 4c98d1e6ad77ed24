"""Canary and blue-green by Argo Rollouts: a bad version goes back, no change loses a request."""

import functools
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.cluster import (
    IMAGE,
    SETTINGS,
    Release,
    forwarded,
    helm,
    installed,
    kubectl,
    load_images,
)
from tests.e2e.load import MixedLoad
from tests.e2e.prometheus import Prometheus
from tests.support.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
NAMESPACE = "e2e-delivery"
CONTROLLER = "argo-rollouts"
NO_ROLLOUTS = f"NO ARGO ROLLOUTS in namespace {CONTROLLER}, or no Prometheus in monitoring"
load = functools.partial(MixedLoad, rate=60.0, repeats=True, own_ports=True)
# How often a good version comes, by each strategy.
TRIES = int(os.environ.get("E2E_TRIES", "1"))
# Helm waits in vain for a Rollout, whose observedGeneration is a string (helm issue 32615).
WITHOUT_WAIT = "--wait=hookOnly"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    for kind, namespace in (
        ("deployment/argo-rollouts", CONTROLLER),
        ("service/prometheus", "monitoring"),
    ):
        if "Error" in kubectl("get", kind, "-n", namespace, check=False):
            pytest.skip(NO_ROLLOUTS)
    load_images()
    fault = (Path(__file__).parent / "bad_version.py").read_text(encoding="utf-8")
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "fault"},
        "data": {"sitecustomize.py": fault},
    }
    settings: dict[str, Any] = {
        "metrics__serviceMonitor__enabled": "true",
        "metrics__serviceMonitor__interval": "5s",
        "delivery__prometheus": "http://prometheus.monitoring:9090",
        "delivery__stepSeconds": "30",
        "extraVolumes[0]__name": "fault",
        "extraVolumes[0]__configMap__name": "fault",
        "extraVolumeMounts[0]__name": "fault",
        "extraVolumeMounts[0]__mountPath": "/fault",
        "config__PYTHONPATH": "/fault",
        "config__FAULT": "none",
    }
    folder = tmp_path_factory.mktemp("delivery")
    with (
        installed(folder, NAMESPACE, beside=[config_map], **settings) as running,
        forwarded("monitoring", "service/prometheus", 9090) as url,
    ):
        up = f'up{{namespace="{NAMESPACE}", job="web"}}'
        # prometheus-operator takes minutes to see a new ServiceMonitor.
        wait_until(
            lambda: bool(Prometheus(url).query(up)), seconds=300, interval=2, why="it is scraped"
        )
        yield running


def rollout(release: Release) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        release.get("rollout", f"{release.fullname}-web", "-o", "json")
    )
    return found


def wait_for(release: Release, *phases: str, seconds: float = 300) -> dict[str, Any]:
    """The Rollout, once the controller has seen its newest form and says one of these."""

    def reached() -> bool:
        found = rollout(release)
        status = found.get("status", {})
        seen = status.get("observedGeneration") == str(found["metadata"]["generation"])
        return seen and status.get("phase") in phases

    try:
        wait_until(reached, seconds=seconds, interval=1.0, why=f"it is {' or '.join(phases)}")
    except TimeoutError as error:
        raise TimeoutError(f"{error}: {json.dumps(rollout(release)['status'])}") from error
    return rollout(release)


def former(release: Release, kind: str) -> bool:
    return "NotFound" not in kubectl(
        "get", kind, f"{release.fullname}-web", "-n", NAMESPACE, check=False
    )


def switch(release: Release, strategy: str) -> None:
    """The same upgrade twice: the second one ends what served before."""
    for _ in range(2):
        release.upgrade(WITHOUT_WAIT, delivery__strategy=strategy)
        if strategy == "rolling":
            web = f"deployment/{release.fullname}-web"
            kubectl("rollout", "status", web, "-n", NAMESPACE, "--timeout=180s")
        else:
            wait_for(release, "Healthy")
        edge = f"deployment/{release.fullname}-edge"
        kubectl("rollout", "status", edge, "-n", NAMESPACE, "--timeout=180s")
        wait_until(
            lambda: ending(release) == [], seconds=120, interval=1.0, why="former pods have ended"
        )


def ending(release: Release) -> list[str]:
    pods = json.loads(release.get("pods", "-o", "json"))["items"]
    return [one["metadata"]["name"] for one in pods if "deletionTimestamp" in one["metadata"]]


@pytest.mark.parametrize("strategy", ["canary", "blueGreen", "rolling", "canary"])
def test_changing_the_strategy_loses_no_request(release: Release, strategy: str) -> None:
    with load(release) as mixed:
        time.sleep(2)
        switch(release, strategy)
        time.sleep(20)

    print(json.dumps(mixed.summary(), indent=1))
    assert former(release, "deployment") is (strategy == "rolling")
    assert former(release, "rollout") is (strategy != "rolling")
    assert not mixed.failures
    assert mixed.lost_items() == set()


def begin(release: Release, **settings: str) -> None:
    """A rollout to the other one of two image tags."""
    tag = IMAGE.partition(":")[2]
    other = f"{tag}-next" if image_of(release) == tag else tag
    release.upgrade(WITHOUT_WAIT, image__tag=other, **settings)


def image_of(release: Release) -> str:
    return (SETTINGS | release.settings)["image.tag"]


@pytest.mark.parametrize("strategy", ["canary", "blueGreen"])
def test_a_good_version_comes_into_service(release: Release, strategy: str) -> None:
    switch(release, strategy)
    for _ in range(TRIES):
        with load(release) as mixed:
            time.sleep(2)
            begun = time.monotonic()
            begin(release)
            wait_for(release, "Healthy")
            print(f"{strategy}: in service after {time.monotonic() - begun:.0f} s")
            time.sleep(5)

        print(json.dumps(mixed.summary(), indent=1))
        assert not mixed.failures
        assert mixed.lost_items() == set()


def test_a_host_of_its_own_reaches_what_is_not_in_service_yet(release: Release) -> None:
    def instance(host: str) -> str:
        url = f"{release.http}/api/v1/info"
        answer = requests.get(url, headers={"Host": host}, timeout=10)
        return str(answer.json()["instance"])

    switch(release, "blueGreen")
    release.upgrade(WITHOUT_WAIT, delivery__previewHost="next.test")
    wait_for(release, "Healthy")
    before = {each["metadata"]["name"] for each in release.objects("pods", "web")}
    with load(release):
        begin(release)
        wait_until(
            lambda: instance("next.test") not in before, seconds=120, why="it reaches a new pod"
        )
        assert instance("any.test") in before
        wait_for(release, "Healthy")


def begin_canary(release: Release) -> None:
    """Until it gets requests."""
    if release.settings.get("delivery.strategy") != "canary":
        switch(release, "canary")
    begin(release)
    wait_until(
        lambda: "currentStepAnalysisRunStatus" in rollout(release)["status"].get("canary", {}),
        seconds=120,
        interval=1.0,
        why="the canary is watched",
    )


def patch_status(release: Release, **changes: object) -> None:
    """What Argo's plugin of kubectl does; docs/DELIVERY.md has it without."""
    kubectl(
        *("patch", "rollout", f"{release.fullname}-web", "--namespace", NAMESPACE),
        *("--subresource=status", "--type=merge", f"--patch={json.dumps({'status': changes})}"),
    )


def roll_back(release: Release) -> None:
    helm("rollback", release.name, "--namespace", NAMESPACE)


def push_again(release: Release) -> None:
    """The first push must not come into service any more."""
    begin(release, config__LOG_LEVEL="INFO" if "config.LOG_LEVEL" in release.settings else "DEBUG")


def abort_by_hand(release: Release) -> None:
    patch_status(release, abort=True)
    wait_for(release, "Degraded", seconds=60)
    roll_back(release)


@pytest.mark.parametrize("trouble", [push_again, abort_by_hand, roll_back])
def test_trouble_in_mid_canary(release: Release, trouble: Callable[[Release], None]) -> None:
    first = image_of(release)
    with load(release) as mixed:
        time.sleep(2)
        begin_canary(release)
        time.sleep(10)
        trouble(release)
        release.settings["image.tag"] = first
        wait_for(release, "Healthy")
        time.sleep(5)

    print(json.dumps(mixed.summary(), indent=1))
    assert served(release) == {f"{IMAGE.partition(':')[0]}:{image_of(release)}"}
    assert not mixed.failures
    assert mixed.lost_items() == set()


def served(release: Release) -> set[str]:
    """The images of the pods that stay."""
    pods = [each["spec"]["containers"] for each in release.objects("pods", "web")]
    return {one["image"] for containers in pods for one in containers if one["name"] == "web"}


def scale(kind: str, name: str, namespace: str, replicas: int) -> None:
    patch = f'{{"spec": {{"replicas": {replicas}}}}}'
    kubectl("patch", kind, name, "-n", namespace, "--type=merge", f"--patch={patch}")


def controller_is_away(_release: Release) -> None:
    scale("deployment", "argo-rollouts", CONTROLLER, 0)
    time.sleep(45)
    scale("deployment", "argo-rollouts", CONTROLLER, 1)


def autoscaler_wants_more(release: Release) -> None:
    release.upgrade(WITHOUT_WAIT, autoscaling__minReplicas="4")


@pytest.mark.parametrize("trouble", [controller_is_away, autoscaler_wants_more])
def test_a_good_version_comes_into_service_in_spite_of(
    release: Release, trouble: Callable[[Release], None]
) -> None:
    scales = trouble is autoscaler_wants_more
    if scales:
        # Far from what this load needs: more than the minimum would be the fault of the rollout.
        limits = {"maxReplicas": "6", "targetCPUUtilizationPercentage": "1000"}
        named = {f"autoscaling__{name}": value for name, value in limits.items()}
        release.upgrade(WITHOUT_WAIT, autoscaling__enabled="true", **named)
        wait_for(release, "Healthy")
    with load(release) as mixed:
        time.sleep(2)
        begin_canary(release)
        time.sleep(5)
        trouble(release)
        found = wait_for(release, "Healthy")
        time.sleep(5)

    print(json.dumps(mixed.summary(), indent=1))
    assert found["spec"]["replicas"] == (4 if scales else 2)
    assert served(release) == {f"{IMAGE.partition(':')[0]}:{image_of(release)}"}
    assert not mixed.failures
    assert mixed.lost_items() == set()
    if scales:
        release.upgrade(WITHOUT_WAIT, "--force-conflicts", autoscaling__enabled="false")
        wait_for(release, "Healthy")


def test_without_prometheus_a_version_goes_back(release: Release) -> None:
    with load(release) as mixed:
        time.sleep(2)
        before = image_of(release)
        begin_canary(release)
        scale("prometheus", "prometheus", "monitoring", 0)
        try:
            status = wait_for(release, "Degraded", "Healthy")["status"]
        finally:
            scale("prometheus", "prometheus", "monitoring", 1)
        roll_back(release)
        release.settings["image.tag"] = before
        wait_for(release, "Healthy")

    print(status["message"], json.dumps(mixed.summary(), indent=1))
    assert (status["phase"], status["abort"]) == ("Degraded", True)
    assert not mixed.failures
    ready = "--for=jsonpath={.status.readyReplicas}=1"
    kubectl("wait", ready, "statefulset/prometheus-prometheus", "-n", "monitoring")


def test_with_too_few_requests_a_version_waits_for_a_person(release: Release) -> None:
    begin_canary(release)
    status = wait_for(release, "Paused", "Healthy", "Degraded")["status"]
    assert (status["phase"], status["message"]) == ("Paused", "InconclusiveAnalysisRun")
    with load(release) as mixed:
        time.sleep(30)
        patch_status(release, pauseConditions=None)
        wait_for(release, "Healthy")
    assert not mixed.failures


@pytest.mark.parametrize("fault", ["errors", "slow", "leak", "unready", "writes"])
def test_a_bad_version_goes_back(release: Release, fault: str) -> None:
    if release.settings.get("delivery.strategy") != "canary":
        switch(release, "canary")
    before = rollout(release)["status"]["stableRS"]
    with load(release) as mixed:
        time.sleep(5)
        begun = time.monotonic()
        release.upgrade(WITHOUT_WAIT, config__FAULT=fault)
        status = wait_for(release, "Degraded", "Healthy")["status"]
        seconds = time.monotonic() - begun
        print(f"{fault}: {status['phase']} after {seconds:.0f} s: {status.get('message')}")
        time.sleep(5)

    print(json.dumps(mixed.summary(), indent=1))
    assert (status["phase"], status["abort"], status["stableRS"]) == ("Degraded", True, before)
    assert len(mixed.failures) <= 0.1 * mixed.sent
    # The way out: what served before, without steps.
    helm("rollback", release.name, "--namespace", NAMESPACE)
    release.settings["config.FAULT"] = "none"
    wait_for(release, "Healthy", seconds=60)
