"""infrastructure/terraform/host/user-data: cloud-init makes a fresh Debian machine serve."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.e2e.stack import PORTS, clean_environment, docker
from tests.support.containers import pull, require_engine
from tests.support.missing import missing
from tests.support.paths import ROOT
from tests.support.processes import free_port, output_of, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

IMAGE = "python:3.14-slim-trixie"  # Debian 13, which the service's image begins with too
ENGINE = Path("/var/run/docker.sock")
NAME = f"devops-starter-host-{os.getpid()}"
SECONDS = 180
# What the image of a cloud has: cloud-init, and where it finds its data. A container has no systemd
# and no engine: when the user data restart Docker, this machine's answers on the socket.
MACHINE = r"""
set -e
apt-get update -q >/dev/null
apt-get install -q -y --no-install-recommends cloud-init socat >/dev/null
echo 'datasource_list: [NoCloud]' >/etc/cloud/cloud.cfg.d/99-test.cfg
mkdir -p /var/lib/cloud/seed/nocloud
cp "$DATA/user-data" /var/lib/cloud/seed/nocloud
echo 'instance-id: test' >/var/lib/cloud/seed/nocloud/meta-data
printf '[safe]\n  directory = *\n' >/etc/gitconfig
cat >/usr/local/sbin/systemctl <<'STANDIN'
#!/bin/sh
[ "$*" = "restart docker" ] || exit 0
setsid socat UNIX-LISTEN:/var/run/docker.sock,group=docker,mode=660,backlog=256,fork \
  UNIX-CONNECT:/engine.sock >/dev/null 2>&1 &
until [ -S /var/run/docker.sock ]; do sleep 0.1; done
STANDIN
chmod +x /usr/local/sbin/systemctl

cloud-init schema --config-file "$DATA/user-data"
start=$(date +%s)
cloud-init init --local
cloud-init init
cloud-init modules --mode=config || true # what a container has not: disks, a boot loader
cloud-init modules --mode=final
echo "took $(($(date +%s) - start))"
passwd --status deploy
cat ~deploy/.ssh/authorized_keys
"""


@pytest.fixture(name="settings")
def fixture_settings() -> dict[str, str]:
    return {name: str(free_port()) for name in PORTS} | {"COMPOSE_PROJECT_NAME": NAME}


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path, settings: dict[str, str]) -> Iterator[Path]:
    """Where the machine's /opt/devops-starter is: the engine mounts from there."""
    require_engine()
    if not ENGINE.is_socket():
        missing(f"NO SOCKET OF AN ENGINE AT {ENGINE}: a container could not use it")
    if not pull(IMAGE):
        missing(f"NO {IMAGE}: it is not here and cannot be fetched")
    folder = tmp_path / "devops-starter"
    yield folder
    if (folder / "scripts").exists():
        reset = (folder / "scripts/setup.sh", "--reset", "--yes")
        output_of(run(reset, cwd=folder, env=clean_environment() | settings, seconds=300))


def test_the_setup_of_a_fresh_machine_ends_with_a_healthy_stack(
    tmp_path: Path, folder: Path, settings: dict[str, str]
) -> None:
    source = tmp_path / "source.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", ROOT, source], check=True)
    tmp_path.chmod(0o755)
    text = (ROOT / "infrastructure/terraform/host/user-data").read_text(encoding="utf-8")
    more = "".join(f"\n      {name}={value}" for name, value in settings.items())
    for old, new in {
        "PUBLIC_KEY": "ssh-ed25519 AAAA test",
        "=DOMAIN": f"=127.0.0.1{more}",
        "REPOSITORY": str(source),
        "/opt/devops-starter": str(folder),
        "      HTTP_PORT=80\n": "",
        "      HTTPS_PORT=443\n": "",
    }.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "user-data").write_text(text, encoding="utf-8")

    mounts = ("--volume", f"{tmp_path}:{tmp_path}", "--volume", f"{ENGINE}:/engine.sock")
    options = ("--rm", "--network", "host", "--name", NAME, "--env", f"DATA={tmp_path}", *mounts)
    try:
        said = docker("run", *options, IMAGE, "bash", "-c", MACHINE, seconds=1000)
    finally:
        docker("rm", "--force", NAME, check=False)

    health = requests.get(f"http://127.0.0.1:{settings['HTTP_PORT']}/health", timeout=10).json()
    assert health["status"] == "healthy"
    # Locked: no password opens it, the key does.
    assert "\ndeploy L " in said and "\nssh-ed25519 AAAA test\n" in said
    took = int(said.partition("\ntook ")[2].split()[0])
    print(f"cloud-init to a healthy stack: {took} s")
    # On a machine of its own; one that is busy is given as much again.
    assert took < 2 * SECONDS
