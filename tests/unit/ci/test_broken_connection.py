"""A deployment whose connection breaks: it goes on, and is looked at again."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import Programs, wait_until
from tests.support.ci_scripts import Deployment

IMAGE = f"ghcr.io/o/n@sha256:{'1' * 64}"


def opened(gate: Path) -> bool:
    """Whether a process waits for the gate; it then continues."""
    try:
        end = os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    os.write(end, b"go\n")
    os.close(end)
    return True


def test_a_broken_connection_does_not_stop_a_deployment(deployment: Deployment) -> None:
    """It runs in a session of its own; the one that shows it is killed here."""
    gate = deployment.host / "gate"
    os.mkfifo(gate)
    slow = f'#!/usr/bin/env bash\necho begun\nread -r _ <"{gate}"\necho served >result\n'
    (deployment.host / "scripts" / "deploy.sh").write_text(slow)
    script = deployment.host / "scripts" / "ci" / "on-host.sh"
    with subprocess.Popen(
        ["bash", script, deployment.host, "deploy", "--image", IMAGE],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as shown:
        assert shown.stdout and shown.stdout.readline() == "begun\n"
        os.killpg(shown.pid, signal.SIGKILL)

    wait_until(lambda: opened(gate), why="the script is alive and reads the gate")
    status = deployment.host / ".release" / "deploy.status"
    wait_until(lambda: status.exists() and bool(status.read_text()), why="it has ended")
    assert deployment.read("result") == "served\n"
    assert deployment.read(".release/deploy.status") == "0\n"


# The first connection that shows a deployment ends as ssh does when the network fails.
BREAKING_SSH = """
if [[ ${!#} == *COMMIT=*on-host.sh* && ! -f "$0.broken" ]]; then
  touch "$0.broken"
  bash -c "${!#}" >/dev/null
  exit 255
fi
exec bash -c "${!#}"
"""


@pytest.fixture(autouse=True)
def _second_release(deployment: Deployment) -> None:
    deployment.run("--image", IMAGE)
    deployment.release(nginx_conf="second")


@pytest.mark.parametrize(("refused", "status"), [(False, 0), (True, 1)])
def test_after_a_broken_connection_it_looks_again_how_the_deployment_ends(
    deployment: Deployment, programs: Programs, refused: bool, status: int
) -> None:
    if refused:
        (deployment.host / "refuse").touch()
    programs.add("ssh", BREAKING_SSH)

    done = deployment.run("--image", IMAGE, RECONNECT_SECONDS="0")

    assert done.returncode == status
    assert "The connection broke" in done.stdout
    assert f"deployed --image {IMAGE}" in done.stdout
    assert deployment.read("nginx.conf") == ("first" if refused else "second")
    assert len(deployment.read("calls").splitlines()) == 2


def test_without_a_known_end_the_files_stay(deployment: Deployment, programs: Programs) -> None:
    """The host may still run the very scripts that would be put back."""
    lost = '[[ ${!#} != *"host deploy "* && ${!#} != *"host watch "* ]] || exit 255'
    programs.add("ssh", f'{lost}\nexec bash -c "${{!#}}"')

    done = deployment.run("--image", IMAGE, RECONNECT_SECONDS="0")

    assert done.returncode == 1
    assert ".release/deploy.log" in done.stderr.splitlines()[-1]
    assert deployment.read("nginx.conf") == "second"


def test_an_earlier_deployments_end_is_not_this_ones(
    deployment: Deployment, programs: Programs
) -> None:
    """Here the connection breaks before the host has begun."""
    programs.add("ssh", BREAKING_SSH.replace('bash -c "${!#}" >/dev/null\n', ""))
    done = deployment.run("--image", IMAGE, RECONNECT_SECONDS="0")
    assert done.returncode == 1 and "was never started" in done.stderr
    assert deployment.read("nginx.conf") == "first"
