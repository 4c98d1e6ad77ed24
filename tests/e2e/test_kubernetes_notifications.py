"""What Argo CD tells the team (infrastructure/argocd/notifications.yaml), by its real controller.

E2E_GIT_FOLDER and E2E_GIT_URL are those of test_kubernetes_gitops.py.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import IMAGE, kubectl, load_images, pod
from tests.support.ci_scripts import Git
from tests.support.paths import ROOT
from tests.support.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
NAME = "e2e-notifications"
RECEIVER = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
HTTPServer(("", 8080), Handler).serve_forever()
"""
SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}


@pytest.fixture(scope="module", name="folder", autouse=True)
def folder_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The controller, what receives its messages, and an Application of one ConfigMap."""
    controller = ("statefulset/argocd-application-controller", "-n", "argocd")
    if "Error" in kubectl("get", *controller, check=False):
        pytest.skip("NO ARGO CD in namespace argocd")
    if not {"E2E_GIT_FOLDER", "E2E_GIT_URL"} <= os.environ.keys():
        pytest.skip("NO GIT SERVER: set E2E_GIT_FOLDER and E2E_GIT_URL")
    load_images()
    image = kubectl("get", *controller, "-o", "jsonpath={..containers[0].image}")
    folder = tmp_path_factory.mktemp("notifications")
    make_repository(folder / "work")
    notifications = (ROOT / "infrastructure/argocd/notifications.yaml").read_text(encoding="utf-8")
    made = [*yaml.safe_load_all(notifications), *team(image), application()]
    kubectl("create", "namespace", NAME)
    try:
        apply(folder, NAME, pod("receiver", IMAGE, ["python", "-c", RECEIVER], 8080))
        apply(folder, "argocd", made)
        ready = ("rollout", "status", f"deployment/{NAME}", "-n", "argocd", "--timeout=120s")
        kubectl(*ready)
        wait_until(lambda: "settings" in settings(), seconds=60, interval=1, why="it is synced")
        yield folder
    finally:
        for each in reversed(made):
            name = f"{each['kind']}/{each['metadata']['name']}"
            kubectl("delete", name, "-n", "argocd", "--ignore-not-found", check=False)
        kubectl("delete", "namespace", NAME)


def make_repository(folder: Path) -> None:
    git = Git(folder)
    git.write("settings/settings.json", json.dumps(SETTINGS | {"data": {"level": "info"}}))
    git.commit("feat: start")
    bare = Path(os.environ["E2E_GIT_FOLDER"]) / f"{NAME}.git"
    if not bare.exists():
        git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    git("push", "--quiet", "--force", str(bare), "HEAD:main")


def team(image: str) -> Iterator[dict[str, Any]]:
    """The notifications controller, and the team's address."""
    labels = {"app": NAME}
    container = {
        "name": "controller",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["argocd-notifications"],
        "env": [{"name": "ARGOCD_BINARY_NAME", "value": "argocd-notifications"}],
    }
    spec = {"serviceAccountName": "argocd-application-controller", "containers": [container]}
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    yield {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "argocd-notifications-secret"},
        "stringData": {"team-url": f"http://receiver.{NAME}:8080"},
    }


def application() -> dict[str, Any]:
    """Subscribed as those of the ApplicationSet are."""
    text = (ROOT / "infrastructure/argocd/environments.yaml").read_text(encoding="utf-8")
    template = yaml.safe_load(text)["spec"]["template"]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": NAME, "annotations": template["metadata"]["annotations"]},
        "spec": {
            "project": "default",
            "source": {
                "repoURL": f"{os.environ['E2E_GIT_URL']}/{NAME}.git",
                "targetRevision": "main",
                "path": "settings",
            },
            "destination": {"server": "https://kubernetes.default.svc", "namespace": NAME},
            "syncPolicy": {"automated": {"selfHeal": True}},
        },
    }


def apply(folder: Path, namespace: str, objects: list[dict[str, Any]]) -> None:
    (folder / "objects.yaml").write_text(yaml.safe_dump_all(objects))
    kubectl("apply", "-n", namespace, "-f", str(folder / "objects.yaml"))


def settings() -> str:
    return kubectl("get", "configmap", "-n", NAME, "-o", "yaml")


def told() -> list[str]:
    lines = kubectl("logs", "receiver", "-n", NAME).splitlines()
    return [json.loads(line)["text"] for line in lines if line.startswith("{")]


def test_the_team_hears_of_a_change_that_was_undone() -> None:
    change = '--patch={"data": {"level": "debug"}}'
    kubectl("patch", "configmap", "settings", "-n", NAME, "--type=merge", change)

    said = f"{NAME}: a change by hand was undone: ConfigMap/settings"
    wait_until(lambda: said in told(), seconds=60, interval=1, why="it is told")
    assert "level: info" in settings()


def test_the_team_hears_that_git_cannot_be_rendered() -> None:
    change = '--patch={"spec": {"source": {"path": "gone"}}}'
    kubectl("patch", "application", NAME, "-n", "argocd", "--type=merge", change)

    said = f"{NAME} is Unknown and Healthy at main"
    wait_until(lambda: said in told(), seconds=90, interval=1, why="it is told")
