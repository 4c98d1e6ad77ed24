"""The Helm chart, as it renders; tests/e2e/test_kubernetes.py installs it."""

import json
import re
from typing import Any

import chart_values
import pytest
import yaml

from app.version import __version__
from tests.support.chart import CHART, VARIANTS, containers, helm, of_kind, pods, render
from tests.support.monitoring import DASHBOARDS, MONITORING, RULES, read_yaml

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
SOURCES = {path.relative_to(MONITORING / "prometheus" / "rules"): path for path in RULES}


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
        if one["kind"] in ("Deployment", "StatefulSet"):
            pod = one["spec"]["template"]["spec"]
            for each in containers(pod):
                # Init containers but sidecars end before the others start, and need less.
                if each in pod["containers"] or each.get("restartPolicy") == "Always":
                    asked = each["resources"]["requests"]
                    cpu += one["spec"]["replicas"] * int(asked["cpu"].removesuffix("m"))
                    memory += one["spec"]["replicas"] * int(asked["memory"].removesuffix("Mi"))

    assert (cpu <= 500, memory <= 512) == (True, True), (cpu, memory)


def test_every_file_of_rules_and_dashboards_may_be_chosen() -> None:
    metrics = SCHEMA["properties"]["metrics"]["properties"]
    chosen = {
        of: metrics[of]["properties"]["files"]["items"]["enum"] for of in ("rules", "dashboards")
    }
    assert set(chosen["rules"]) == {str(path.with_suffix("")) for path in SOURCES}
    assert set(chosen["dashboards"]) == {path.stem for path in DASHBOARDS}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--set=replicaCount=two", "replicaCount"),
        ("--set=nope=1", "'nope' not allowed"),
        ("--set=autoscaling.enabled=true,autoscaling.external=true", "/autoscaling"),
        ("--set=redis.mode=external", "/redis/url"),
        ("--set=preStopSeconds=0", "preStopSeconds"),
        ("--set=image.digest=abc", "image/digest"),
        ("--set=edge.clientConnections=65536", "edge/clientConnections"),
        ("--set=metrics.rules.files={nope}", "metrics/rules/files/0"),
        ("--set=metrics.dashboards.files={nope}", "metrics/dashboards/files/0"),
    ],
)
def test_a_wrong_value_is_named(options: str, told: str) -> None:
    done = helm("template", "x", str(CHART), options)
    assert done.returncode != 0
    assert told in done.stderr


def test_a_host_name_that_nginx_would_refuse_beside_another_is_left_out() -> None:
    hosts = "config.TRUSTED_HOSTS=a.org\\,A.org\\,b.org\\,.b.org"
    objects = render("--set=edge.enabled=true", f"--set-string={hosts}")
    (edge,) = of_kind(objects, "ConfigMap", "x-devops-starter-edge")

    names = 'default "yes";\n    a.org "";\n    .b.org "";\n}'
    assert any(names in content for content in edge["data"].values())


def test_its_own_tests_ask_for_a_trusted_host() -> None:
    for job in of_kind(render("--set-string=config.TRUSTED_HOSTS=.a.org\\,b.org"), "Job"):
        (test,) = job["spec"]["template"]["spec"]["containers"]
        assert test["env"] == [{"name": "HOST", "value": "a.org"}]


def test_replicas_belong_to_the_autoscaler_and_one_replica_has_no_budget() -> None:
    for option, made in (("enabled", 1), ("external", 0)):
        # A parent chart may pass global values.
        values = f"autoscaling.{option}=true,replicaCount=1,global.registry=x"
        objects = render(f"--set={values}")
        (web,) = of_kind(objects, "Deployment", "web")
        assert "replicas" not in web["spec"]
        assert len(of_kind(objects, "HorizontalPodAutoscaler")) == made
        assert of_kind(objects, "PodDisruptionBudget", "web")
    assert not of_kind(render(*VARIANTS["one replica"]), "PodDisruptionBudget")
    for budget in of_kind(render(), "PodDisruptionBudget"):
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@pytest.mark.parametrize(("before", "drain", "graceful"), [(5, 2, 30), (20, 10, 60)])
def test_a_pod_has_the_time_to_end(before: int, drain: int, graceful: int) -> None:
    settings = f"preStopSeconds={before},config.DRAIN_SECONDS={drain}"
    settings += f",config.GRACEFUL_TIMEOUT_SECONDS={graceful}"
    (web,) = of_kind(render(f"--set={settings}"), "Deployment", "web")
    ends = web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert ends > before + drain + graceful


def test_a_new_image_changes_neither_redis_nor_its_configuration() -> None:
    (before,) = of_kind(render(), "StatefulSet")
    (after,) = of_kind(render("--set=image.tag=other"), "StatefulSet")
    assert before["spec"]["template"] == after["spec"]["template"]


def test_rules_are_the_stacks_bound_to_the_namespace() -> None:
    rendered = of_kind(render(*VARIANTS["production"]), "PrometheusRule")

    sources = {"-".join(name.with_suffix("").parts): path for name, path in SOURCES.items()}
    assert len(rendered) >= 6
    for one in rendered:
        name = one["metadata"]["name"]
        (source,) = (path for end, path in sources.items() if name.endswith(f"-{end}"))
        assert "externalLabels" not in json.dumps(one["spec"])
        expressions = _expressions(one["spec"])
        for text in expressions:
            jobs = len(re.findall(r"\bjob=", text))
            assert text.count(', namespace="demo"') == jobs, text
        unbound = [text.replace(', namespace="demo"', "") for text in expressions]
        of_the_stack = [text.replace(f"x-{CHART.name}-", f"{CHART.name}-") for text in unbound]
        assert of_the_stack == _expressions(read_yaml(source))


def _expressions(rules: dict[str, Any]) -> list[str]:
    return [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


def test_dashboards_are_the_stacks_and_no_rule_links_to_one_that_is_not_installed() -> None:
    rendered = render(*VARIANTS["production"])
    maps = of_kind(rendered, "ConfigMap", "dashboard")

    found = {name: text for each in maps for name, text in each["data"].items()}
    assert len(found) >= 5
    known = {path.name: path.read_text(encoding="utf-8") for path in DASHBOARDS}
    assert found.items() <= known.items()
    linked = set(re.findall(r"/d/([\w-]+)", json.dumps(of_kind(rendered, "PrometheusRule"))))
    assert linked and linked <= {json.loads(text)["uid"] for text in found.values()}


def test_a_probe_asks_each_address_by_its_kind() -> None:
    prober = "--set=metrics.probe.prober=blackbox:9115"
    (one,) = of_kind(render(prober), "Probe")
    urls = "--set=metrics.probe.targets={https://a.example.org/health,http://b.example.org/health}"
    two = of_kind(render(prober, urls), "Probe")

    static = one["spec"]["targets"]["staticConfig"]["static"]
    assert static == ["http://x-devops-starter-edge.demo.svc.cluster.local/health"]
    assert {each["spec"]["jobName"]: each["spec"]["targets"]["staticConfig"] for each in two} == {
        "blackbox-http": {"static": ["http://b.example.org/health"]},
        "blackbox-tls": {"static": ["https://a.example.org/health"]},
    }


def test_chart_and_service_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == chart["appVersion"] == __version__


def test_the_table_of_values_is_as_generated() -> None:
    readme = chart_values.README.read_text(encoding="utf-8")
    assert readme == chart_values.page(readme, chart_values.VALUES.read_text(encoding="utf-8"))


def test_the_schema_has_every_value_and_no_other() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

    def names(given: Any, described: Any, path: str = "") -> None:
        known = set(described.get("properties", {})) - {"global"}
        if known:
            assert set(given) == known - ({"claims"} if "requests" in given else set()), path
            for name in given:
                names(given[name], described["properties"][name], f"{path}.{name}")

    names(values, SCHEMA)


@pytest.mark.parametrize(("delivery", "most"), [(False, 900), (True, 350)])
def test_templates_stay_small(delivery: bool, most: int) -> None:
    paths = [
        path
        for path in (CHART / "templates").rglob("*.*")
        if (path.stem.lstrip("_") == "delivery") is delivery
    ]
    text = "".join(path.read_text(encoding="utf-8") for path in paths)
    text = re.sub(r"\{\{-? /\*.*?\*/ -?\}\}", "", text, flags=re.DOTALL)
    lines = [line.strip() for line in text.splitlines()]
    assert 0 < len([line for line in lines if line and not line.startswith("#")]) <= most
