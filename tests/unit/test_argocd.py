"""What Argo CD is given; tests/e2e/test_kubernetes_gitops.py gives it to a real one."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart import CHART, VARIANTS, helm, render
from tests.support.monitoring import headings, run_tool
from tests.support.paths import ROOT
from tests.support.processes import output_of

FOLDER = ROOT / "infrastructure" / "argocd"
FILES = sorted(FOLDER.glob("*.yaml"))
ENVIRONMENTS = sorted((ROOT / "environments").glob("*/values.yaml"))
DIGEST, COMMIT = f"sha256:{'1' * 64}", "a" * 40
PROMOTED = f"--set=image.tag=sha-{COMMIT},image.digest={DIGEST}"


@cache
def objects() -> dict[str, Any]:
    """By kind; of Applications and ConfigMaps there is one each."""
    texts = (path.read_text(encoding="utf-8") for path in FILES)
    return {one["kind"]: one for text in texts for one in yaml.safe_load_all(text)}


def group(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def allowed() -> set[tuple[str, str]]:
    given = objects()["AppProject"]["spec"]["namespaceResourceWhitelist"]
    return {(one["group"], one["kind"]) for one in given}


def test_the_project_allows_what_the_chart_makes_and_nothing_more() -> None:
    more = {
        "probe": "--set=metrics.probe.prober=blackbox:9115",
        "certificate": "--set=tls.issuer.name=letsencrypt,tls.hosts[0]=app.example.org",
    }
    variants = [*VARIANTS.values(), *((option,) for option in more.values())]
    made = {
        (group(one["apiVersion"]), one["kind"])
        for options in variants
        for one in render(*options)
        # Argo CD does not run tests of Helm.
        if "helm.sh/hook" not in one["metadata"].get("annotations", {})
    }
    assert made == allowed()


def test_nothing_outside_the_environments_may_be_touched() -> None:
    spec = objects()["AppProject"]["spec"]
    given = spec["clusterResourceWhitelist"]
    assert given == [{"group": "", "kind": "Namespace", "name": "devops-starter-*"}]
    assert [one["namespace"] for one in spec["destinations"]] == ["devops-starter-*"]
    namespace = "devops-starter-{{ .path.basename }}"
    assert template()["destination"]["namespace"] == namespace


def template() -> Any:
    return objects()["ApplicationSet"]["spec"]["template"]["spec"]


def test_a_secret_that_an_environment_forgot_to_name_is_refused() -> None:
    """The chart would make one, with other values at each commit."""
    assert ("", "Secret") not in allowed()
    done = helm("template", "web", str(CHART), "--namespace=demo")
    assert re.search("^kind: Secret$", done.stdout, re.MULTILINE)


def test_one_repository_is_named_everywhere() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in FILES)
    assert len(set(re.findall(r"https://github\.com/[^/\s]+/[^/\s\].]+", text))) == 1


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.parent.name)
def test_an_environment_is_rendered_alike_each_time_and_without_secrets(path: Path) -> None:
    own = CHART / f"values-{path.parent.name}.yaml"
    options = (f"--values={own}", f"--values={path}", PROMOTED, "--namespace=demo")
    first, second = (output_of(helm("template", "web", str(CHART), *options)) for _ in range(2))
    assert first == second
    found = [one for one in yaml.load_all(first, yaml.CSafeLoader) if one]
    assert "Secret" not in {one["kind"] for one in found}
    # Whatever image it has been promoted to.
    repository = yaml.safe_load(path.read_text(encoding="utf-8"))["image"]["repository"]
    assert f'image: "{repository}@{DIGEST}"' in first


def test_no_environment_hides_in_a_folder_of_another() -> None:
    """A `*` of Argo CD matches slashes too: environments/x/production would be production."""
    assert sorted((ROOT / "environments").rglob("values.yaml")) == ENVIRONMENTS


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.parent.name)
def test_no_environment_has_a_secret_in_git(path: Path) -> None:
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert values["existingSecret"]
    assert not re.search("password|token|key", path.read_text(encoding="utf-8"), re.IGNORECASE)


def test_deleting_a_file_stops_no_environment() -> None:
    policy = objects()["ApplicationSet"]["spec"]["syncPolicy"]
    assert policy == {"applicationsSync": "create-update", "preserveResourcesOnDeletion": True}
    assert "prune" not in objects()["Application"]["spec"]["syncPolicy"]["automated"]


def test_only_production_waits_for_a_window() -> None:
    (window,) = objects()["AppProject"]["spec"]["syncWindows"]
    assert window["applications"] == ["devops-starter-production"]
    # git revert does not wait for it: argocd app sync.
    assert (window["kind"], window["manualSync"]) == ("allow", True)


def test_every_subscription_has_a_trigger_that_sends_something() -> None:
    data = objects()["ConfigMap"]["data"]
    metadata = objects()["ApplicationSet"]["spec"]["template"]["metadata"]
    for name in metadata["annotations"]:
        _, trigger, service = name.removeprefix("notifications.argoproj.io/").split(".")
        assert f"service.webhook.{service}" in data
        for one in yaml.safe_load(data[f"trigger.{trigger}"]):
            for sent in one["send"]:
                body = yaml.safe_load(data[f"template.{sent}"])["webhook"][service]["body"]
                json.loads(re.sub(r"\{\{.*?\}\}", "x", body))


RULES = objects()["PrometheusRule"]["spec"]
STAGING = "devops-starter-staging"
JOB = f'job="argocd-metrics", project="devops-starter", name="{STAGING}"'
INFO = "argocd_app_info{" + JOB + f', dest_namespace="{STAGING}", %s}}'
SYNCS = "argocd_app_sync_total{" + JOB + ', phase="Succeeded"}'
CHANGED = 'deploy:version:changed{namespace="devops-starter-staging", version="2"}'
FINE = {INFO % 'sync_status="Synced", health_status="Healthy"': "1x60"}
CASES = {
    "cannot be rendered": (
        {INFO % 'sync_status="Unknown", health_status="Healthy"': "1x60"}, "ApplicationUnknown",
    ),
    "Argo CD is gone": ({}, "ApplicationUnknown"),
    "not what Git says": (
        {INFO % 'sync_status="OutOfSync", health_status="Healthy"': "1x60"}, "ApplicationOutOfSync",
    ),
    **{
        status: (
            {INFO % f'sync_status="Synced", health_status="{status}"': "1x60"},
            "ApplicationUnhealthy",
        )
        for status in ("Degraded", "Suspended", "Missing")
    },
    "undone": (FINE | {SYNCS: "1x35 2x25"}, "ChangeUndone"),
    "undone by a controller that has just started": (FINE | {SYNCS: "_x35 1x25"}, "ChangeUndone"),
    "a new version": (FINE | {SYNCS: "1x35 2x25", CHANGED: "_x36 1 _x24"}, ""),
    "a version whose pod starts late": (FINE | {SYNCS: "1x38 2x22", CHANGED: "_x39 1 _x24"}, ""),
    "undone long ago": (FINE | {SYNCS: "1x2 2x58"}, ""),
    "a canary": ({INFO % 'sync_status="Synced", health_status="Progressing"': "1x60"}, ""),
    "drift for a moment": (
        {
            INFO % 'sync_status="Synced", health_status="Healthy"': "1x30 _ 1x29",
            INFO % 'sync_status="OutOfSync", health_status="Missing"': "_x30 1 _",
        },
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_fires_and_what_stays_quiet(name: str, tmp_path: Path) -> None:
    series, alert = CASES[name]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(RULES), encoding="utf-8")
    given = [{"series": one, "values": values} for one, values in series.items()]
    asked = [
        {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": "10m"}
        | {"exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if alert else []}
    ]
    case = {"interval": "15s", "input_series": given, "promql_expr_test": asked}
    test = {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": [case]}
    (tmp_path / "case.test.yml").write_text(yaml.safe_dump(test), encoding="utf-8")
    output_of(run_tool("promtool", "test", "rules", tmp_path / "case.test.yml"))


def test_every_alert_leads_to_its_runbook_and_has_the_environments_namespace() -> None:
    for rule in RULES["groups"][0]["rules"]:
        page, _, anchor = (
            rule["annotations"]["runbook_url"].partition("/blob/main/")[2].partition("#")
        )
        assert anchor == rule["alert"].lower() and anchor in headings(ROOT / page)
        assert rule["labels"]["namespace"].startswith("{{ $labels.")
        assert rule["labels"]["severity"] == "warning"
