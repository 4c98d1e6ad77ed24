"""The Helm chart, as it renders; tests/e2e/test_kubernetes.py installs it."""

import json
import re
from pathlib import Path
from typing import Any

import chart_values
import pytest
import yaml

from app.version import __version__
from tests.support.chart import CHART, FIXED, VARIANTS, containers, helm, of_kind, pods, render
from tests.support.monitoring import DASHBOARDS, MONITORING, RULES, read_yaml
from tests.support.paths import ROOT
from tests.support.processes import run

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
        ("--set=config.MAX_CONTENT_LENGTH=1m", "/config/MAX_CONTENT_LENGTH"),
        ("--set=config.REQUEST_TIMEOUT_SECONDS=0", "/config/REQUEST_TIMEOUT_SECONDS"),
        ("--set=config.TRUSTED_HOSTS=a;b", "/config/TRUSTED_HOSTS': 'a;b' does not match"),
        ("--set=config.log_level=DEBUG", "'/config': additional properties 'log_level'"),
        ("--set=delivery.limits.error=1", "'/delivery/limits': additional properties 'error'"),
        # Ports that probes, Services and policies name.
        ("--set=config.BIND=0.0.0.0:9000", "/config/BIND"),
        ("--set=config.MANAGEMENT_BIND=0.0.0.0:9001", "/config/MANAGEMENT_BIND"),
        # What decides when a pod is killed.
        ("--set=config.GRACEFUL_TIMEOUT_SECONDS=2m", "/config/GRACEFUL_TIMEOUT_SECONDS"),
        # Values that the API server would refuse half-way through an upgrade.
        ("--set=ingress.hosts[0].host=a.example.org", "/ingress/hosts/0': got object, want string"),
        ("--set=image.pullSecrets={registry}", "/image/pullSecrets/0': got string, want object"),
        ("--set=podAnnotations.a=1", "/podAnnotations/a': got number, want string"),
        ("--set=nodeSelector.disk=true", "/nodeSelector/disk': got boolean, want string"),
        (
            "--set=resources.limits.memory=256MB",
            "/resources/limits/memory': '256MB' does not match",
        ),
        ("--set=redis.persistence.storageClass=-", "/redis/persistence/storageClass"),
        ("--set=fullnameOverride=my.app", "/fullnameOverride"),
        ("--set=tls.issuer.name=letsencrypt", "/tls/hosts': minItems"),
        (
            "--set=autoscaling.enabled=true,autoscaling.minReplicas=11",
            "autoscaling.maxReplicas=10 must be autoscaling.minReplicas=11 or more",
        ),
        (
            "--set=redis.maxmemory=512mb",
            "redis.maxmemory=512mb needs redis.resources.limits.memory of 768Mi or more",
        ),
        ("--set=redis.maxmemory=1gb,redis.resources.limits.memory=1Gi", "of 1536Mi or more"),
    ],
)
def test_a_wrong_value_is_named(options: str, told: str) -> None:
    done = helm("template", "x", str(CHART), options)
    assert done.returncode != 0
    assert told in done.stderr


@pytest.mark.parametrize("release", ["web.1", "a-release-whose-name-is-a-little-long.x-1"])
def test_a_release_of_any_name_has_names_that_a_service_may_have(release: str) -> None:
    done = helm("template", release, str(CHART), *FIXED)
    names = re.findall(r"^  name: (.*)", done.stdout, re.MULTILINE)
    assert len(names) > 15
    assert all(re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name) for name in names), names


def test_a_tag_of_any_form_makes_a_valid_label() -> None:
    (web,) = of_kind(render(f"--set=image.tag={'a' * 62}-x"), "Deployment", "web")
    assert web["metadata"]["labels"]["app.kubernetes.io/version"] == "a" * 62


def test_those_who_may_scrape_are_chosen_by_the_labels_of_their_namespace() -> None:
    label = "--set=networkPolicy.monitoringNamespaces.team=metrics"
    for options, chosen in (((), {}), ((label,), {"team": "metrics"})):
        (policy,) = of_kind(render(*options), "NetworkPolicy", "-web")
        scrapers = policy["spec"]["ingress"][1]["from"][0]
        assert scrapers == {"namespaceSelector": {"matchLabels": chosen}}


BODY_30_MB = "--set=config.MAX_CONTENT_LENGTH=31457280"


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ("", "1800Mi or more"),
        ("resources.limits.memory=1G", "1800Mi or more"),
        ("resources.limits.memory=1887436799", "1800Mi or more"),
        ("config.WEB_CONCURRENCY=4,resources.limits.memory=2Gi", "3600Mi or more"),
    ],
)
def test_bodies_that_the_memory_cannot_hold_are_refused(options: str, needed: str) -> None:
    done = helm("template", "x", str(CHART), BODY_30_MB, f"--set={options}")
    assert done.returncode != 0
    assert f"needs resources.limits.memory of {needed}" in done.stderr


@pytest.mark.parametrize("memory", ["1800Mi", "1.8Gi", "1887436800", "2G", "null"])
def test_bodies_that_it_can_hold_are_not(memory: str) -> None:
    render(BODY_30_MB, f"--set=resources.limits.memory={memory}")


def test_a_large_number_reaches_the_service_as_it_is_written(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("config: {MAX_CONTENT_LENGTH: 2097152, LATENCY: 0.25}\n", encoding="utf-8")
    (web,) = of_kind(render(f"--values={values}"), "Deployment", "web")
    given = web["spec"]["template"]["spec"]["containers"][0]["env"]
    found = {each["name"]: each.get("value") for each in given}
    assert (found["MAX_CONTENT_LENGTH"], found["LATENCY"]) == ("2097152", "0.25")


def edge_files(*options: str) -> dict[str, str]:
    (edge,) = of_kind(render(*options), "ConfigMap", "x-devops-starter-edge")
    files: dict[str, str] = edge["data"]
    return files


def test_a_host_name_that_nginx_would_refuse_beside_another_is_left_out_or_escaped() -> None:
    hosts = "config.TRUSTED_HOSTS=a.org\\,A.org\\,b.org\\,.b.org\\,include"
    files = edge_files(f"--set-string={hosts}")
    names = 'default "yes";\n    a.org "";\n    .b.org "";\n    \\include "";\n}'
    assert names in files["settings.conf"]


def test_nginx_listens_on_ipv6_in_a_pod_that_has_it_and_knows_its_addresses() -> None:
    files, listens = edge_files(), re.compile(r"^ *listen \[::\]:(\d+)", re.MULTILINE)
    (edge,) = of_kind(render(), "Deployment", "edge")
    (nginx,) = (each for each in containers(pods([edge])[0]) if each["name"] == "nginx")

    assert listens.findall(files["nginx.conf"]) == []
    assert listens.findall(files["nginx-ipv6.conf"]) == ["8080", "8443"]
    assert "ipv6=off" in files["nginx.conf"] and "ipv6=off" not in files["nginx-ipv6.conf"]
    program = f"nginx() {{ echo $2; }}; {nginx['command'][2].replace('exec', '')}"
    chosen = {"10.1.2.3": "", "10.1.2.3,fd00::5": "-ipv6", "fd00::5": "-ipv6"}
    for addresses, name in chosen.items():
        said = run(["sh", "-c", program], env={"PATH": "/bin", "POD_IPS": addresses}).stdout
        assert said == f"/etc/nginx/site/nginx{name}.conf\n"


def test_the_certificate_is_not_where_others_mount_a_token() -> None:
    """Whoever mounts one below a read-only folder keeps the container from starting."""
    objects = render("--set=tls.existingSecret=tls")
    mounted = {
        mount["mountPath"]
        for pod in pods(objects)
        for each in containers(pod)
        for mount in each.get("volumeMounts", [])
    }
    assert "/etc/nginx/tls" in mounted
    assert not {path for path in mounted if path.startswith(("/run/secrets", "/var/run"))}
    (edge,) = of_kind(objects, "ConfigMap", "edge")
    assert "/run/secrets" not in str(edge["data"])
    assert "/etc/nginx/tls/..data" in edge["data"]["edge.js"]


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


def test_network_policies_name_each_port_by_number() -> None:
    """Not every network finds the name of a sidecar's port."""
    rules = [
        rule
        for one in of_kind(render(), "NetworkPolicy")
        for way in ("ingress", "egress")
        for rule in one["spec"].get(way, [])
    ]
    ports = [port["port"] for rule in rules for port in rule.get("ports", [])]
    assert ports and all(isinstance(port, int) for port in ports)
    listening = {
        port["containerPort"]
        for pod in pods(render())
        for each in containers(pod)
        for port in each.get("ports", [])
    }
    assert set(ports) - {53, 26379} == listening


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
        known = set(described.get("properties", {}))
        if known:
            assert set(given) == known - ({"claims"} if "requests" in given else set()), path
            for name in given:
                names(given[name], described["properties"][name], f"{path}.{name}")

    of_a_parent = {"global", "enabled"}  # what a chart may pass that this one is a part of
    own = {name: each for name, each in SCHEMA["properties"].items() if name not in of_a_parent}
    names(values, {"properties": own})


@pytest.mark.parametrize(("delivery", "most"), [(False, 900), (True, 350)])
def test_templates_stay_small(delivery: bool, most: int) -> None:
    paths = [
        path
        for path in (CHART / "templates").rglob("*.*")
        if (path.stem.lstrip("_") == "delivery") is delivery
    ]
    paths += (ROOT / "infrastructure" / "argocd").glob("*") if delivery else []
    text = "".join(path.read_text(encoding="utf-8") for path in paths)
    text = re.sub(r"\{\{-? /\*.*?\*/ -?\}\}", "", text, flags=re.DOTALL)
    lines = [line.strip() for line in text.splitlines()]
    assert 0 < len([line for line in lines if line and not line.startswith("#")]) <= most
