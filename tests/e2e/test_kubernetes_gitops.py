"""Environments by Argo CD: what Git says runs, what people change by hand does not last.

E2E_GIT_FOLDER is a folder in which a bare repository may be made, E2E_GIT_URL the address under
which Argo CD reads that folder, such as git://git.argocd.
"""

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import IMAGE, Release, forwarded, kubectl, load_images, nodes, pod, remove
from tests.e2e.prometheus import Prometheus
from tests.support.ci_scripts import Git
from tests.support.paths import ROOT
from tests.support.processes import run, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
NAME = "e2e-gitops"
STAGING, PRODUCTION = f"{NAME}-staging", f"{NAME}-production"
WEB = "web-devops-starter-web"
NO_ARGO_CD = "NO ARGO CD in namespace argocd, or no Argo Rollouts, or no Prometheus in monitoring"
NO_GIT = "NO GIT SERVER: set E2E_GIT_FOLDER and E2E_GIT_URL"
FILES = ("infrastructure/argocd", "infrastructure/helm", "monitoring", "docker", "environments")
# A tag of the image is a revision in Git, too.
TAG = IMAGE.partition(":")[2]
KEYS = (
    *("secret_key", "api_token", "redis_app_password", "redis_jobs_password"),
    *("redis_exporter_password", "redis_operator_password"),
)
LOAD = """
import time, urllib.request
sent = failed = 0
while True:
    sent += 1
    try:
        url = "http://web-devops-starter-edge/api/v1/info"
        urllib.request.urlopen(url, timeout=10).read()
    except OSError as error:
        failed += 1
        print(time.strftime("%X"), error)
    if sent % 20 == 0:
        print(sent, failed, flush=True)
    time.sleep(0.02)
"""


@dataclass
class Environments:
    """Argo CD's Applications, and the repository that it reads."""

    git: Git
    values: dict[str, Any] = field(default_factory=dict)
    """What staging's file says."""

    def commit(self, subject: str, **values: Any) -> None:
        """Change staging, and wait until Argo CD has made it so."""
        self.values |= values
        text = yaml.safe_dump(self.values)
        self.git.write("environments/staging/values.yaml", text)
        self.push(self.git.commit(subject))

    def revert(self) -> None:
        self.git("revert", "--no-edit", "HEAD")
        self.values = yaml.safe_load(
            (self.git.folder / "environments/staging/values.yaml").read_text(encoding="utf-8")
        )
        self.push("HEAD")

    def push(self, commit: str) -> None:
        """To main, and what the webhook of a Git server does."""
        self.git("push", "--quiet", "--force", "origin", f"{commit}:main")
        argo("annotate", "applicationset", NAME, "argocd.argoproj.io/application-set-refresh=true")
        wait_until(
            lambda: "application-set-refresh"
            not in argo("get", "applicationset", NAME, "-o", "yaml"),
            seconds=120,
            interval=0.5,
            why="the ApplicationSet has read Git",
        )

    def settled(self, health: str = "Healthy", seconds: float = 300) -> dict[str, Any]:
        """Staging's Application, once all that Git says is applied."""

        def reached() -> bool:
            found = application(STAGING)
            status = found.get("status", {})
            compared = status.get("sync", {}).get("comparedTo", {}).get("source")
            said = (
                status.get("sync", {}).get("status"),
                status.get("health", {}).get("status"),
                status.get("operationState", {}).get("phase"),
            )
            applied: bool = compared == found["spec"]["source"]
            return applied and said == ("Synced", health, "Succeeded")

        wait_until(reached, seconds=seconds, interval=0.5, why=f"staging is synced and {health}")
        return application(STAGING)


def argo(*arguments: str, check: bool = True) -> str:
    return kubectl("--namespace", "argocd", *arguments, check=check)


def staging(*arguments: str) -> str:
    return kubectl("--namespace", STAGING, *arguments)


def application(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(argo("get", "application", name, "-o", "json"))
    return found


def workload() -> dict[str, Any]:
    kind = "deployment" if f"/{WEB}" in staging("get", "deployments", "-o", "name") else "rollout"
    found: dict[str, Any] = json.loads(staging("get", kind, WEB, "-o", "json"))
    return found


def image_of(found: dict[str, Any]) -> str:
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


@pytest.fixture(scope="module", name="environments")
def environments_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environments]:
    for kind, namespace in (
        ("deployment/argocd-applicationset-controller", "argocd"),
        ("deployment/argo-rollouts", "argo-rollouts"),
        ("service/prometheus", "monitoring"),
    ):
        if "Error" in kubectl("get", kind, "-n", namespace, check=False):
            pytest.skip(NO_ARGO_CD)
    if not {"E2E_GIT_FOLDER", "E2E_GIT_URL"} <= os.environ.keys():
        pytest.skip(NO_GIT)
    load_images()
    folder = tmp_path_factory.mktemp("gitops")
    git = make_repository(folder / "work")
    environments = Environments(git, yaml.safe_load(VALUES))
    release = Release(STAGING, folder, nodes())
    try:
        for name in (STAGING, PRODUCTION):
            kubectl("create", "namespace", name)
        # Argo CD does not make it: the project forbids Secrets.
        made = [f"--from-literal={key}={secrets.token_hex(32)}" for key in KEYS]
        staging("create", "secret", "generic", "devops-starter", *made)
        kubectl("apply", "-f", str(git.folder / "infrastructure/argocd/root.yaml"))
        wait_until(
            lambda: STAGING in argo("get", "applications", "-o", "name"),
            seconds=180,
            interval=1.0,
            why="staging has an Application",
        )
        yield environments
    finally:
        if not os.environ.get("E2E_KEEP"):
            argo("delete", "--wait", "application", NAME, check=False)
            argo("delete", "applicationset", NAME, check=False)
            argo("delete", "applications", STAGING, PRODUCTION, check=False)
            for path in (git.folder / "infrastructure/argocd").iterdir():
                argo("delete", "--ignore-not-found", "-f", str(path), check=False)
            remove(release)
            kubectl("delete", "namespace", PRODUCTION, check=False)


VALUES = f"""
image: {{repository: devops-starter, tag: {TAG}, digest: ""}}
existingSecret: devops-starter
replicaCount: 2
resources: {{requests: {{cpu: 10m}}}}
edge: {{replicaCount: 1, resources: {{requests: {{cpu: 10m}}}}}}
redis: {{resources: {{requests: {{cpu: 10m}}}}}}
metrics: {{dashboards: {{enabled: false}}, serviceMonitor: {{interval: 5s}}}}
delivery: {{prometheus: http://prometheus.monitoring:9090, percent: 30, stepSeconds: 30}}
config: {{REDIS_TIMEOUT_MS: "2000"}}
"""


def make_repository(folder: Path) -> Git:
    """This project under another name, with a window for production that never opens."""
    git = Git(folder)
    for name in run(["git", "ls-files", *FILES]).stdout.split():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target, follow_symlinks=False)
    for path in (folder / "infrastructure" / "argocd").iterdir():
        text = path.read_text(encoding="utf-8")
        text = text.replace(
            "https://github.com/OWNER/REPOSITORY.git", f"{os.environ['E2E_GIT_URL']}/{NAME}.git"
        )
        # The chart keeps its name.
        text = re.sub("(?<!helm/)devops-starter", NAME, text)
        path.write_text(text.replace("schedule: 0 7 * * 1-4", "schedule: 0 0 29 2 *"))
    for name in ("staging", "production"):
        git.write(f"environments/{name}/values.yaml", VALUES)
    git.commit("feat: start")
    for tag in (TAG, f"{TAG}-next"):
        git("tag", tag)
    bare = Path(os.environ["E2E_GIT_FOLDER"]) / f"{NAME}.git"
    if not bare.exists():
        git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    git("remote", "add", "origin", str(bare))
    git("push", "--quiet", "--force", "--tags", "origin", "HEAD:main")
    return git


@pytest.fixture(scope="module", name="prometheus")
def prometheus_fixture() -> Iterator[Prometheus]:
    with forwarded("monitoring", "service/prometheus", 9090) as url:
        yield Prometheus(url)


@pytest.fixture(scope="module", name="load")
def load_fixture(environments: Environments, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A pod that asks the service up to 50 times a second; its name."""
    environments.settled()
    objects, path = pod("load", IMAGE, ["python", "-c", LOAD], 1), tmp_path_factory.mktemp("load")
    (path / "pod.yaml").write_text(yaml.safe_dump_all(objects))
    staging("apply", "-f", str(path / "pod.yaml"))
    staging("wait", "--for=condition=Ready", "pod/load", "--timeout=60s")
    return "load"


def counted() -> tuple[int, int]:
    """Requests that were sent, and that failed."""
    lines = staging("logs", "load", "--tail=40").splitlines()
    numbers = [line.split() for line in lines if line[:1].isdigit() and ":" not in line]
    sent, failed = numbers[-1] if numbers else ("0", "0")
    return int(sent), int(failed)


def lost_since(before: tuple[int, int], at_least: int = 100) -> int:
    wait_until(lambda: counted()[0] >= before[0] + at_least, seconds=120, why="requests were sent")
    sent, failed = counted()
    print(f"{failed - before[1]} of {sent - before[0]} requests failed")
    if failed > before[1]:
        print(*(line for line in staging("logs", "load", "--tail=400").splitlines() if ":" in line))
    return failed - before[1]


def test_one_apply_starts_everything_but_production_outside_its_window(
    environments: Environments,
) -> None:
    begun = time.monotonic()
    found = environments.settled()
    print(f"synced and healthy {time.monotonic() - begun:.0f} s after its Application was there")
    assert found["spec"]["source"]["targetRevision"] == TAG
    wait_until(
        lambda: application(PRODUCTION).get("status", {}).get("sync", {}).get("status")
        == "OutOfSync",
        seconds=60,
        why="production was compared",
    )
    assert "operationState" not in application(PRODUCTION)["status"]
    made = json.loads(kubectl("-n", PRODUCTION, "get", "services", "-o", "json"))
    assert made["items"] == []
    label = "pod-security.kubernetes.io/enforce"
    labels = json.loads(kubectl("get", "namespace", STAGING, "-o", "json"))["metadata"]["labels"]
    assert labels[label] == "restricted"


def test_a_change_by_hand_is_said(environments: Environments, prometheus: Prometheus) -> None:
    environments.settled()

    def answers(query: str, wanted: bool) -> None:
        def asked() -> bool:
            return bool(prometheus.query(query)) is wanted

        wait_until(asked, seconds=300, interval=2.0, why=f"{query} has values: {wanted}")

    # prometheus-operator takes minutes to see a new ServiceMonitor.
    answers(f'argocd_app_info{{name="{STAGING}"}}', True)
    answers(f'deploy:version:seen_timestamp_seconds{{namespace="{STAGING}"}}', True)
    # A new version hides a change.
    answers(f'count_over_time(deploy:version:changed{{namespace="{STAGING}"}}[4m])', False)
    staging("scale", f"deployment/{WEB}", "--replicas=1")
    begun = time.monotonic()
    wait_until(
        lambda: "ChangeUndone" in prometheus.alerts("firing"),
        seconds=120,
        interval=1.0,
        why="the alert fires",
    )
    seconds = time.monotonic() - begun
    print(f"alert after {seconds:.0f} s")
    assert seconds <= 60


def drifting() -> dict[str, tuple[str, int, str]]:
    """What the changes below change: identity, replicas and image of an object."""
    return {
        f"{one['kind']}/{one['metadata']['name']}": (
            one["metadata"]["uid"],
            one["spec"].get("replicas", 0),
            image_of(one) if one["kind"] == "Deployment" else "",
        )
        for one in json.loads(staging("get", "deployments,services", "-o", "json"))["items"]
    }


DRIFT = {
    "scale": ("scale", f"deployment/{WEB}", "--replicas=1"),
    "edit": ("set", "image", f"deployment/{WEB}", "web=devops-starter:by-hand"),
    "delete": ("delete", f"deployment/{WEB}", "--wait=false"),
    "delete a service": ("delete", f"service/{WEB}", "--wait=false"),
}


@pytest.mark.parametrize("how", DRIFT)
def test_a_change_by_hand_is_undone(environments: Environments, how: str) -> None:
    environments.settled()
    before = drifting()
    staging(*DRIFT[how])
    begun = time.monotonic()

    def undone() -> bool:
        now = drifting()
        anew = {"delete": f"Deployment/{WEB}", "delete a service": f"Service/{WEB}"}.get(how)
        return now.keys() == before.keys() and all(
            now[name][1:] == before[name][1:]
            and (now[name][0] != before[name][0]) == (name == anew)
            for name in before
        )

    wait_until(undone, seconds=120, interval=0.2, why=f"{how} is undone")
    seconds = time.monotonic() - begun
    print(f"{how}: undone after {seconds:.1f} s")
    assert seconds <= 60
    operation = environments.settled()["status"]["operationState"]["operation"]
    assert operation["sync"]["autoHealAttemptsCount"] >= 1


def test_replicas_of_an_autoscaler_stay(environments: Environments) -> None:
    environments.commit(
        "feat: scale", autoscaling={"enabled": True, "minReplicas": 3, "maxReplicas": 3}
    )
    environments.settled()
    wait_until(
        lambda: workload()["spec"]["replicas"] == 3, seconds=120, why="the autoscaler has scaled"
    )
    seen = set()
    for message in ("a", "b"):
        environments.commit("feat: say", podAnnotations={"example.org/said": message})
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            seen.add(workload()["spec"]["replicas"])
            found = application(STAGING)
            if (
                found["status"]["sync"].get("comparedTo", {}).get("source")
                == found["spec"]["source"]
            ):
                break
        environments.settled()
        seen.add(workload()["spec"]["replicas"])
    assert seen == {3}
    # What somebody else sets is drift.
    staging("scale", f"deployment/{WEB}", "--replicas=2")
    wait_until(lambda: workload()["spec"]["replicas"] == 3, seconds=60, why="it is undone")
    environments.commit("revert: scale", autoscaling={"enabled": False})
    environments.settled()


@pytest.mark.parametrize("strategy", ["canary", "rolling", "blueGreen", "canary"])
def test_changing_the_strategy_loses_no_request(
    environments: Environments, load: str, strategy: str
) -> None:
    assert load
    before = counted()
    environments.commit(
        f"feat: {strategy}", delivery=environments.values["delivery"] | {"strategy": strategy}
    )
    environments.settled()
    kinds = staging("get", "deployments,rollouts", "-o", "name").split()
    assert [one for one in kinds if one.endswith(WEB)] == [
        f"deployment.apps/{WEB}" if strategy == "rolling" else f"rollout.argoproj.io/{WEB}"
    ]
    assert lost_since(before) == 0


def promote(environments: Environments, tag: str) -> None:
    image = environments.values["image"] | {"tag": tag}
    environments.commit(f"chore(staging): run {tag}", image=image)


def canary_runs() -> bool:
    status = workload()["status"]
    ready = f"rollouts-pod-template-hash={status.get('currentPodHash')}"
    pods = json.loads(staging("get", "pods", "--selector", ready, "-o", "json"))["items"]
    return bool(status["stableRS"] != status["currentPodHash"] and pods)


def test_a_canary_goes_through_and_a_revert_brings_the_version_before_back(
    environments: Environments, load: str
) -> None:
    assert load
    environments.settled()
    before = counted()
    promote(environments, f"{TAG}-next")
    wait_until(canary_runs, seconds=120, why="a canary runs")
    begun = time.monotonic()
    found = environments.settled()
    print(f"the canary took {time.monotonic() - begun:.0f} s")
    assert found["spec"]["source"]["targetRevision"] == f"{TAG}-next"
    assert image_of(workload()).endswith(f"{TAG}-next")

    begun = time.monotonic()
    environments.revert()
    environments.settled()
    print(f"reverted after {time.monotonic() - begun:.0f} s")
    assert image_of(workload()) == IMAGE
    assert lost_since(before) == 0


def test_a_revert_in_mid_canary_ends_it(environments: Environments, load: str) -> None:
    assert load
    environments.settled()
    stable, before = workload()["status"]["stableRS"], counted()
    promote(environments, f"{TAG}-next")
    wait_until(canary_runs, seconds=120, why="a canary runs")
    begun = time.monotonic()
    environments.revert()
    environments.settled()
    print(f"back after {time.monotonic() - begun:.0f} s")
    status = workload()["status"]
    assert (status["stableRS"], status["currentPodHash"]) == (stable, stable)
    assert lost_since(before) == 0


def test_values_that_cannot_be_rendered_are_unknown_and_leave_what_runs(
    environments: Environments,
) -> None:
    environments.settled()
    before = workload()["metadata"]["uid"]
    environments.commit("feat: wrong", nonsense=1)
    wait_until(
        lambda: application(STAGING)["status"]["sync"]["status"] == "Unknown",
        seconds=60,
        why="the sync status is Unknown",
    )
    assert application(STAGING)["status"]["health"]["status"] == "Healthy"
    assert workload()["metadata"]["uid"] == before
    environments.revert()
    environments.settled()


def test_deleting_the_file_of_an_environment_stops_nothing(environments: Environments) -> None:
    environments.settled()
    before = workload()["metadata"]["uid"]
    environments.git("rm", "--quiet", "environments/staging/values.yaml")
    environments.push(environments.git.commit("feat: no staging"))
    argo("delete", "application", STAGING)
    found = workload()["metadata"]
    assert found["uid"] == before and "deletionTimestamp" not in found
