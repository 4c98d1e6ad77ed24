"""The Helm chart, as it renders; tests/e2e/test_kubernetes.py installs it."""

import json
import re
from typing import Any

import chart_values
import pytest
import yaml

from app.version import __version__
from tests.support.chart import CHART, VARIANTS, containers, helm, of_kind, pods, render
from tests.support.monitoring import RULES, read_yaml
from tests.support.paths import ROOT


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_every_pod_is_restricted_bounded_and_has_no_token(options: tuple[str, ...]) -> None:
    found = pods(render(*options))

    assert found
    for pod in found:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for each in containers(pod):
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"memory", "ephemeral-storage"} <= set(each["resources"]["limits"])


def test_a_default_install_asks_for_little() -> None:
    cpu = memory = 0
    for one in render():
        if one["kind"] not in ("Deployment", "StatefulSet"):
            continue
        # Init containers but sidecars end before the others start, and need less.
        running = [
            each
            for each in containers(one["spec"]["template"]["spec"])
            if each.get("restartPolicy") == "Always"
            or each in one["spec"]["template"]["spec"]["containers"]
        ]
        for each in running:
            asked = each["resources"]["requests"]
            cpu += one["spec"]["replicas"] * int(asked["cpu"].removesuffix("m"))
            memory += one["spec"]["replicas"] * int(asked["memory"].removesuffix("Mi"))

    assert cpu <= 500
    assert memory <= 512


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--set=replicaCount=two", "replicaCount"),
        ("--set=nope=1", "'nope' not allowed"),
        ("--set=redis.mode=external", "/redis/url"),
        ("--set=preStopSeconds=0", "preStopSeconds"),
        ("--set=image.digest=abc", "image/digest"),
    ],
)
def test_a_wrong_value_is_named(options: str, told: str) -> None:
    done = helm("template", "x", str(CHART), options)

    assert done.returncode != 0
    assert told in done.stderr


def test_a_parent_chart_may_pass_global_values() -> None:
    assert render("--set=global.registry=example")


def test_replicas_belong_to_the_autoscaler_and_one_replica_has_no_budget() -> None:
    (web,) = of_kind(render("--set=autoscaling.enabled=true"), "Deployment", "web")
    assert "replicas" not in web["spec"]
    assert not of_kind(render(*VARIANTS["one replica"]), "PodDisruptionBudget")
    for budget in of_kind(render(), "PodDisruptionBudget"):
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@pytest.mark.parametrize(("before", "drain", "graceful"), [(5, 2, 30), (20, 10, 60)])
def test_a_pod_has_the_time_to_end(before: int, drain: int, graceful: int) -> None:
    settings = f"preStopSeconds={before},config.DRAIN_SECONDS={drain}"
    settings += f",config.GRACEFUL_TIMEOUT_SECONDS={graceful}"
    (web,) = of_kind(render(f"--set={settings}"), "Deployment", "web")

    assert (
        web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > before + drain + graceful
    )


def test_a_new_image_changes_neither_redis_nor_its_configuration() -> None:
    (before,) = of_kind(render(), "StatefulSet")
    (after,) = of_kind(render("--set=image.tag=other"), "StatefulSet")

    assert before["spec"]["template"] == after["spec"]["template"]


def test_rules_are_the_stacks_bound_to_the_namespace() -> None:
    rendered = of_kind(render(*VARIANTS["production"]), "PrometheusRule")

    sources = {path.stem: read_yaml(path) for path in RULES}
    assert len(rendered) >= 5
    for one in rendered:
        (stem,) = (name for name in sources if one["metadata"]["name"].endswith(f"-{name}"))
        text = json.dumps(one["spec"])
        assert "externalLabels" not in text
        jobs = r'job=\\"(?:web|edge|nginx|redis)\\"'
        assert len(re.findall(jobs, text)) == len(
            re.findall(rf'{jobs}, namespace=\\"demo\\"', text)
        )
        expected = re.sub(rf"({jobs})", r'\1, namespace=\\"demo\\"', json.dumps(sources[stem]))
        names = [
            rule.get("alert", rule.get("record"))
            for each in one["spec"]["groups"]
            for rule in each["rules"]
        ]
        expressions = [
            rule["expr"] for each in json.loads(expected)["groups"] for rule in each["rules"]
        ]
        assert [
            rule["expr"] for each in one["spec"]["groups"] for rule in each["rules"]
        ] == expressions
        assert names


def test_dashboards_are_the_stacks() -> None:
    folder = ROOT / "monitoring" / "grafana" / "dashboards"
    maps = of_kind(render(*VARIANTS["production"]), "ConfigMap", "dashboard")

    found = {name: text for each in maps for name, text in each["data"].items()}
    assert found == {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}


def test_chart_and_service_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    assert chart["version"] == chart["appVersion"] == __version__


def test_the_table_of_values_is_as_generated() -> None:
    readme = chart_values.README.read_text(encoding="utf-8")

    assert readme == chart_values.page(readme, chart_values.VALUES.read_text(encoding="utf-8"))


def test_the_schema_has_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

    def names(given: Any, described: Any, path: str = "") -> None:
        known = set(described.get("properties", {})) - {"global"}
        if known:
            assert set(given) == known - ({"claims"} if "requests" in given else set()), path
            for name in given:
                names(given[name], described["properties"][name], f"{path}.{name}")

    names(values, schema)


def test_templates_stay_small() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (CHART / "templates").rglob("*.*"))
    text = re.sub(r"\{\{-? /\*.*?\*/ -?\}\}", "", text, flags=re.DOTALL)

    assert (
        len(
            [
                line
                for line in text.splitlines()
                if line.strip() and not line.strip().startswith("#")
            ]
        )
        <= 900
    )
