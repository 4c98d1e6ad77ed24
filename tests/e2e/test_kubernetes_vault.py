"""The agent of the Kubernetes values logs in with a pod's token, which a real API server checks.

OpenBao and its agent run beside the cluster here: no image of them is on its nodes.
"""

import base64
import gzip
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.e2e.bao import program
from tests.e2e.cluster import CHART, IMAGE, helm, kubectl, load_images
from tests.e2e.stack import INFRASTRUCTURE
from tests.support.processes import end_group, free_port, run, wait_until
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.slow
NAMESPACE = "e2e-vault"
FOLDER = INFRASTRUCTURE / "vault"


@contextmanager
def running(log: Path, *command: str, **environment: str) -> Iterator[None]:
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=os.environ | environment, start_new_session=True
        )
        try:
            yield
        finally:
            end_group(process)


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    kubectl("create", "namespace", NAMESPACE)
    kubectl("create", "serviceaccount", "reviewer", "--namespace", NAMESPACE)
    account = f"--serviceaccount={NAMESPACE}:reviewer"
    kubectl(
        "create", "clusterrolebinding", NAMESPACE, "--clusterrole=system:auth-delegator", account
    )
    yield NAMESPACE
    kubectl("delete", "clusterrolebinding", NAMESPACE)
    kubectl(
        "delete",
        "namespace",
        NAMESPACE,
    )


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    (tmp_path / "users.acl").write_text("user vault on >vault-password ~* &* +@all\n")
    with RedisServer("--aclfile", str(tmp_path / "users.acl")) as server:
        yield server


def test_only_the_services_own_pods_log_in_and_get_its_secrets(
    namespace: str, redis: RedisServer, tmp_path: Path
) -> None:
    bao = str(program(tmp_path / "bao"))
    cluster = yaml.safe_load(kubectl("config", "view", "--raw", "--flatten", "--output", "yaml"))
    (tmp_path / "ca").write_text(
        kubectl(
            "get",
            "configmap",
            "kube-root-ca.crt",
            "--namespace",
            namespace,
            "--output",
            "jsonpath={.data.ca\\.crt}",
        )
    )
    (tmp_path / "reviewer").write_text(
        kubectl("create", "token", "reviewer", "--namespace", namespace)
    )
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "vault_redis_password").write_text("vault-password")
    address = f"127.0.0.1:{free_port()}"
    server = {
        "BAO_ADDR": f"http://{address}",
        "BAO_TOKEN": "root-of-the-test",
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis.port),
        "SECRETS": str(tmp_path / "secrets"),
        "KUBERNETES_HOST": cluster["clusters"][0]["cluster"]["server"],
        "KUBERNETES_CA_FILE": str(tmp_path / "ca"),
        "KUBERNETES_REVIEWER_FILE": str(tmp_path / "reviewer"),
        "KUBERNETES_NAMESPACE": namespace,
    }
    dev = (bao, "server", "-dev", "-dev-no-store-token", f"-dev-listen-address={address}")
    with running(tmp_path / "server.log", *dev, BAO_DEV_ROOT_TOKEN_ID=server["BAO_TOKEN"]):
        setup = [sys.executable, str(FOLDER / "vault.py"), "setup"]
        wait_until(
            lambda: not run(setup, env=os.environ | server).returncode,
            seconds=30,
            why="it is set up",
        )

        (tmp_path / "token").write_text(token("kube-system"))
        with agent(bao, tmp_path, server["BAO_ADDR"]):
            wait_until(lambda: refused(tmp_path), seconds=30, why="it is refused")
        assert not (tmp_path / "run" / "web").exists()

        (tmp_path / "token").write_text(token(namespace))
        written = tmp_path / "run" / "web" / "redis_password"
        with agent(bao, tmp_path, server["BAO_ADDR"]):
            wait_until(written.exists, seconds=30, why="it is rendered")
    assert len(list(written.parent.iterdir())) == 4


def refused(folder: Path) -> bool:
    return "not authorized" in (folder / "agent.log").read_text(encoding="utf-8")


def token(namespace: str) -> str:
    """What the volume of kubernetes-values.yaml holds in a pod there."""
    return kubectl("create", "token", "default", "--audience", "vault", "--namespace", namespace)


@contextmanager
def agent(bao: str, folder: Path, address: str) -> Iterator[None]:
    for name in ("kubernetes.hcl", "templates.hcl"):
        text = (FOLDER / name).read_text(encoding="utf-8")
        text = text.replace("/run/vault", str(folder / "run")).replace('group       = "10001"', "")
        text = text.replace("/run/login/token", str(folder / "token"))
        (folder / name).write_text(text, encoding="utf-8")
    files = (f"-config={folder / name}" for name in ("kubernetes.hcl", "templates.hcl"))
    with running(folder / "agent.log", bao, "agent", *files, BAO_ADDR=address):
        yield


def test_the_api_server_takes_the_pods_of_the_values(namespace: str, tmp_path: Path) -> None:
    values = ("--values", str(FOLDER / "kubernetes-values.yaml"))
    external = ("--set", "redis.mode=external,redis.url=redis://redis.example.org/0")
    release = ("web", str(CHART), "--namespace", namespace, "--show-only=templates/web.yaml")
    rendered = run(["helm", "template", *release, *values, *external]).stdout
    (tmp_path / "all.yaml").write_text(rendered, encoding="utf-8")
    strict = ("--dry-run=server", "--validate=strict", "--namespace", namespace)
    labels = ("pod-security.kubernetes.io/warn=restricted", "--overwrite")
    kubectl("label", "namespace", namespace, *labels)
    answer = kubectl("apply", *strict, "--filename", str(tmp_path / "all.yaml"))
    assert "deployment.apps/web-devops-starter-web" in answer
    assert "Warning" not in answer
    (web,) = (
        each
        for each in yaml.safe_load_all(rendered)
        if each["kind"] == "Deployment" and each["metadata"]["name"].endswith("-web")
    )
    pod = web["spec"]["template"]["spec"]
    (sidecar,) = pod["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    variables = {each["name"] for each in pod["containers"][0]["env"]}
    assert {"REDIS_USERNAME_FILE", "REDIS_PASSWORD_FILE"} <= variables


SECRETS = (
    *("secret_key", "api_token", "redis_app_password", "redis_jobs_password"),
    *("redis_exporter_password", "redis_operator_password"),
)


def test_no_secret_is_readable_in_describe_logs_environments_or_the_stored_release(
    namespace: str,
) -> None:
    load_images()
    values = {name: secrets.token_hex(32) for name in SECRETS}
    given = (f"--from-literal={name}={value}" for name, value in values.items())
    here = ("--namespace", namespace)
    kubectl("create", "secret", "generic", "given", *here, *given)
    options = (
        f"existingSecret=given,replicaCount=1,edge.enabled=false,image.tag={IMAGE.split(':')[1]}"
    )
    helm("install", "web", str(CHART), *here, "--set", options, "--wait", "--timeout", "3m")

    pods = kubectl("get", "pods", *here, "--output", "name").split()
    environ = ("sh", "-c", "cat /proc/[0-9]*/environ")
    containers = {
        "web": "deployment/web-devops-starter-web",
        "redis": "statefulset/web-devops-starter-redis",
    }
    stored = kubectl(
        *("get", "secret", *here, "--selector", "owner=helm", "--output"),
        "jsonpath={.items[*].data.release}",
    )
    places = {
        "describe": kubectl("describe", "all,configmaps,secrets", *here),
        "logs": "".join(kubectl("logs", each, "--all-containers", *here) for each in pods),
        "environ": "".join(
            kubectl("exec", of, "--container", name, *here, "--", *environ, check=False)
            for name, of in containers.items()
        ),
        "release": gzip.decompress(base64.b64decode(base64.b64decode(stored))).decode(),
    }
    for place, text in places.items():
        assert len(text) > 500, place
        encoded = {base64.b64encode(each.encode()).decode() for each in values.values()}
        assert not [each for each in {*values.values(), *encoded} if each in text], place
    helm("uninstall", "web", *here, "--wait")
