"""The Helm chart, as it renders with the values that people choose."""

import os
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.support.missing import missing
from tests.support.paths import ROOT
from tests.support.processes import run

CHART = ROOT / "infrastructure" / "helm" / "devops-starter"
NO_HELM = "NO HELM FOR THE TESTS OF THE CHART: https://helm.sh/docs/intro/install/"
FIXED = ("--set=existingSecret=given", "--namespace=demo")
VARIANTS = {
    "defaults": (),
    "one replica": ("--set=replicaCount=1,edge.replicaCount=1",),
    "no edge": ("--set=edge.enabled=false",),
    "external Redis": ("--set=redis.mode=external,redis.url=rediss://redis.example.org:6380/0",),
    "sentinel": ("--set=redis.mode=sentinel",),
    "autoscaling": ("--set=autoscaling.enabled=true",),
    "canary": ("--set=delivery.strategy=canary",),
    "blue-green": ("--set=delivery.strategy=blueGreen",),
    "gateway": ("--set=gateway.enabled=true,gateway.parentRefs[0].name=public",),
    "ingress": (
        "--set=ingress.enabled=true,ingress.hosts[0]=a.example.org,tls.existingSecret=tls",
    ),
    **{
        each: (f"--values={CHART}/values-{each}.yaml",)
        for each in ("development", "staging", "production")
    },
}


def require_helm() -> None:
    """CI must have it, unless .ci/run says that this machine cannot."""
    if not shutil.which("helm"):
        if os.environ.get("WITHOUT_HELM"):
            pytest.skip(NO_HELM)
        missing(NO_HELM)


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    require_helm()
    return run(["helm", *arguments])


def render(*options: str) -> list[dict[str, Any]]:
    done = helm("template", "x", str(CHART), *FIXED, *options)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.load_all(done.stdout, yaml.CSafeLoader) if each]


def of_kind(objects: list[dict[str, Any]], kind: str, name: str = "") -> list[dict[str, Any]]:
    return [one for one in objects if one["kind"] == kind and name in one["metadata"]["name"]]


def pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one["spec"]["template"]["spec"] for one in objects if "template" in one.get("spec", {})]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]
