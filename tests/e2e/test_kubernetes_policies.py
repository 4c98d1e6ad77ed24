"""The API server refuses what infrastructure/policies/admission forbids, and the chart passes."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import helm, kubectl
from tests.support.chart import VARIANTS, render
from tests.support.paths import ROOT
from tests.support.processes import wait_until

POLICIES = ROOT / "infrastructure" / "policies"
NAMESPACE = "e2e-policies"
RULES = yaml.safe_load((POLICIES / "admission" / "rules.yaml").read_text())
GOOD = yaml.safe_load((POLICIES / "tests" / "good.yaml").read_text())["good"]
CASES = [
    case
    for case in yaml.safe_load((POLICIES / "tests" / "cases.yaml").read_text())["cases"]
    if case["of"] == "deployment" and case["rule"] in RULES["containers"] | RULES["objects"]
]
KINDS = {"Deployment", "StatefulSet", "Job", "HorizontalPodAutoscaler"}
VALUES_FILE = yaml.safe_load((POLICIES / "admission" / "values.yaml").read_text())
VALUES = {
    "actions": ["Deny"],
    "images": {
        "own": ["example.org/team"],
        "others": VALUES_FILE["images"]["others"],
    },
}
WEB = {"app.kubernetes.io/component": "web"}

pytestmark = pytest.mark.slow


def policies(folder: Path, **values: Any) -> None:
    file = folder / "policies.json"
    file.write_text(json.dumps(VALUES | values))
    helm("upgrade", "--install", NAMESPACE, str(POLICIES / "admission"), "-f", str(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("policies")
    kubectl("create", "namespace", NAMESPACE)
    for name, value in (VALUES_FILE["namespaces"] | VALUES_FILE["production"]).items():
        kubectl("label", "namespace", NAMESPACE, f"{name}={value}")
    try:
        policies(place)
        bad = made(CASES[0])
        wait_until(lambda: "denied" in sent(place, bad), seconds=60, interval=1.0, why="they hold")
        yield place
    finally:
        helm("uninstall", NAMESPACE, check=False)
        kubectl("delete", "namespace", NAMESPACE, "--wait=true")


def deployment() -> dict[str, Any]:
    """The good one, with what the API server demands and no rule asks for."""
    good: dict[str, Any] = deepcopy(GOOD["deployment"])
    labels = good["spec"]["template"]["metadata"]["labels"]
    good["metadata"] = {"name": "web", "namespace": NAMESPACE, "labels": {**labels, **WEB}}
    good["spec"]["selector"] = {"matchLabels": labels}
    return good


def pod_of(workload: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": NAMESPACE}
    template = workload["spec"]["template"]
    return {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"]} | {
        "metadata": {**template.get("metadata", {}), **metadata}
    }


def made(case: dict[str, Any]) -> dict[str, Any]:
    made_bad = deployment()
    *way, last = case["at"].split("/")
    place: Any = made_bad
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
    if case["set"] == "removed":
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = case["set"]
    return made_bad


def sent(folder: Path, *objects: dict[str, Any]) -> str:
    """What the API server says to these objects, which are not kept."""
    file = folder / "object.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    return kubectl("apply", "--dry-run=server", "-f", str(file), check=False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['rule']} {case['at'][-40:]}")
def test_what_is_bad_is_refused_by_a_line_that_says_why(folder: Path, case: dict[str, Any]) -> None:
    objects = [pod_of(made(case))]
    if case["rule"] == "probes":  # pods that are no one's need none
        objects = []
    if case["rule"] != "labels":  # the API server itself refuses such a Deployment
        objects.append(made(case))
    expected = [case["rule"], *case.get("also", [])]
    for one in objects:
        said = sent(folder, one)
        assert any(f"denied request: {rule}: " in said for rule in expected), said
        assert "no such key" not in said, said


def test_each_rule_is_tried() -> None:
    assert {case["rule"] for case in CASES} == set(RULES["containers"] | RULES["objects"])


def test_what_is_good_passes(folder: Path) -> None:
    said = sent(folder, pod_of(deployment()))
    assert "created" in said and "denied" not in said, said

    named_twice = deployment()
    container = named_twice["spec"]["template"]["spec"]["containers"][0]
    container["image"] = container["image"].replace("@", ":1.2.3@")
    said = sent(folder, named_twice)
    assert "created" in said and "denied" not in said, said


def test_a_rollout_may_name_a_deployment_instead_of_pods(folder: Path) -> None:
    good = deployment() | {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
    del good["spec"]["template"]
    good["spec"]["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    good["spec"]["strategy"] = {"canary": {}}
    said = sent(folder, good)
    assert "created" in said and "denied" not in said, said


def test_what_was_there_before_may_end_but_not_change(folder: Path) -> None:
    """Whoever deletes it waits until a controller has taken its finalizer away, by an update."""
    bad = made(CASES[0])
    bad["spec"]["replicas"] = 0  # the Job has the pods
    job: dict[str, Any] = {"apiVersion": "batch/v1", "kind": "Job", "metadata": bad["metadata"]}
    template = deepcopy(bad["spec"]["template"])
    template["spec"]["restartPolicy"] = "Never"
    job["spec"] = {"template": template}
    file = folder / "older.yaml"
    file.write_text(yaml.safe_dump_all([bad, job]))
    of_ours = ("--namespace", NAMESPACE)
    pods = ("get", "pods", "--output=name", *of_ours)
    label, value = next(iter(VALUES_FILE["namespaces"].items()))
    kubectl("label", "namespace", NAMESPACE, f"{label}-")
    wait_until(lambda: "created" in sent(folder, bad), seconds=60, interval=1.0, why="it may")
    kubectl("apply", "-f", str(file))
    wait_until(lambda: "web-" in kubectl(*pods), why="it runs")
    kubectl("label", "namespace", NAMESPACE, f"{label}={value}")
    made_pod = pod_of(bad)
    wait_until(
        lambda: "denied" in sent(folder, made_pod), seconds=60, interval=1.0, why="they hold"
    )

    kubectl("annotate", "deployment/web", "seen=yes", *of_ours)
    said = kubectl("set", "image", "deployment/web", "web=a:2", *of_ours, check=False)
    assert "denied request: " in said, said
    kubectl("delete", "--cascade=foreground", "--timeout=60s", "-f", str(file))
    assert "web-" not in kubectl(*pods)


def test_a_pod_can_be_debugged_without_privilege(folder: Path) -> None:
    file = folder / "debugged.yaml"
    file.write_text(yaml.safe_dump(pod_of(deployment())))
    kubectl("apply", "-f", str(file))
    debug = ("debug", "pod/web", "--namespace", NAMESPACE, "--image=redis:8", "--container=debug")

    said = kubectl(*debug, "--profile=sysadmin", check=False)
    assert "denied request: " in said, said
    kubectl(*debug, "--profile=restricted")
    found = kubectl("get", "pod/web", "--namespace", NAMESPACE, "--output=yaml")
    kubectl("delete", "--now", "-f", str(file))

    assert "ephemeralContainers" in found


def test_an_almost_empty_pod_is_refused_and_no_riddle(folder: Path) -> None:
    empty = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": NAMESPACE}}
    said = sent(folder, empty | {"spec": {"containers": [{"name": "a", "image": "a"}]}})
    assert "denied request: " in said and "failed to evaluate" not in said, said


def test_production_has_two_replicas(folder: Path) -> None:
    good = deployment()
    assert "created" in sent(folder, good)

    alone = deepcopy(good)
    alone["spec"]["replicas"] = 1
    assert "production: set replicaCount" in sent(folder, alone)
    del alone["spec"]["replicas"]
    assert "production: set replicaCount" in sent(folder, alone)
    alone["metadata"]["annotations"] = {"devops-starter/replicas": "autoscaler"}
    assert "created" in sent(folder, alone)
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "maxReplicas": 3,
        },
    }
    assert "production: set autoscaling.minReplicas" in sent(folder, scaler)
    scaler["spec"]["minReplicas"] = 2  # type: ignore[index]
    assert "created" in sent(folder, scaler)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_chart_passes(folder: Path, variant: str) -> None:
    image = GOOD["deployment"]["spec"]["template"]["spec"]["containers"][0]["image"]
    repository, _, digest = image.partition("@")
    ours = f"--set=image.repository={repository},image.digest={digest}"
    rendered = render(f"--namespace={NAMESPACE}", ours, *VARIANTS[variant])
    objects = [one for one in rendered if one["kind"] in KINDS]
    # The pods of a StatefulSet get their volumes later.
    templates = [one for one in rendered if one["kind"] in {"Deployment", "Rollout", "Job"}]
    pods = [pod_of(one) for one in templates]
    for number, one in enumerate(pods):
        one["metadata"]["name"] = f"pod-{number}"
    assert len(pods) >= 2

    said = sent(folder, *objects, *pods).splitlines()

    refused = [line for line in said if "created" not in line]
    if variant in {"one replica", "development"}:  # not made for production
        refused = [line for line in refused if "production: set replicaCount" not in line]
    assert not refused


def test_at_first_it_only_warns(folder: Path) -> None:
    policies(folder, actions=["Warn", "Audit"])
    bad = pod_of(made(CASES[0]))
    wait_until(lambda: "created" in sent(folder, bad), seconds=60, interval=1.0, why="it warns")
    said = sent(folder, bad)
    policies(folder)

    assert "Warning: Validation failed for ValidatingAdmissionPolicy" in said
    assert f"{CASES[0]['rule']}: container web" in said
