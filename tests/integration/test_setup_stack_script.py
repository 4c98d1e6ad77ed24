"""scripts/setup.sh without --local, where the engine says no: one line that names the remedy.

`docker` is played by a script, because a full disk or an old engine cannot be had at will; the real
engine has its turn in tests/e2e.
"""

import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support.clone import Clone, assert_refused
from tests.support.paths import ROOT
from tests.support.processes import Programs, free_port, output_of

GOOD = {
    "version": "echo 100.1.0-rc.1",
    "compose version": "echo v2.40.3",
    "info": "echo /nowhere",
    "context": "echo unix:///var/run/docker.sock",
    "compose ps": "true",
    "compose config --images": "echo image-of-${said##* }",
    "compose config": "printf 'web\\nnginx\\nredis\\ninit\\ngrafana\\n'",
}

PORTS = ("HTTP_PORT", "HTTPS_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT", "ALERTMANAGER_PORT")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    made = Clone(tmp_path / "a clone")
    (made.folder / "infrastructure").mkdir()
    shutil.copy2(ROOT / "infrastructure" / ".env.example", made.folder / "infrastructure")
    return made


def setup(
    clone: Clone,
    *arguments: str,
    says: dict[str, str] | None = None,
    settings: str = "",
    programs: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run setup.sh with a `docker` that answers by the beginning of its arguments."""
    answers = (says or {}) | {one: what for one, what in GOOD.items() if one not in (says or {})}
    cases = "\n".join(f'  "{begin}"*) {what}; exit ;;' for begin, what in answers.items())
    # Compose's options before its command are of no interest here.
    docker = f'said="$*"\ncase "${{said/ --progress plain/}}" in\n{cases}\n  *) true ;;\nesac'
    played = Programs(clone.folder / "bin")
    for name, what in ({"docker": docker} | (programs or {})).items():
        played.add(name, what)
    if settings:
        (clone.folder / "infrastructure" / ".env").write_text(settings)
    ports = {name: str(free_port()) for name in PORTS if f"{name}=" not in settings}
    return clone.run("setup.sh", *arguments, env=ports | {"PATH": played.path})


@pytest.mark.parametrize(
    ("command", "says", "words"),
    [
        (
            "version",
            "echo 'Cannot connect to the Docker daemon' >&2; exit 1",
            ["does not answer", "start Docker"],
        ),
        ("version", "echo 'permission denied while trying' >&2; exit 1", ["usermod -aG docker"]),
        ("version", "echo 24.0.7", ["Engine 26.0 or newer", "24.0.7"]),
        ("compose version", "exit 1", ["Compose is missing", "docker-compose-plugin"]),
        ("compose version", "echo 2.21.0", ["Compose 2.26 or newer", "2.21.0"]),
    ],
)
def test_an_unfit_engine_is_refused(
    clone: Clone, command: str, says: str, words: list[str]
) -> None:
    assert_refused(setup(clone, says={command: says}), *words)


def test_a_missing_engine_points_to_the_way_without_one(clone: Clone) -> None:
    path = Programs(clone.folder / "tools", "bash dirname env mkdir").path
    assert_refused(clone.run("setup.sh", env={"PATH": path}), "not installed", "--local")


def test_a_full_disk_is_named_before_anything_is_built(clone: Clone) -> None:
    says = {"info": f"echo '{clone.folder}'"}
    result = setup(clone, says=says, programs={"df": "printf 'head\\ndisk 100 90 10 90%% /\\n'"})
    assert_refused(result, "only 10 MB", "docker system prune")


def test_a_taken_port_is_named_with_the_setting_that_changes_it(clone: Clone) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = setup(clone, settings=f"HTTP_PORT={port}\n")
    assert_refused(result, f"port {port} is taken", "HTTP_PORT", "infrastructure/.env")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("write /x: no space left on device", ["disk is full"]),
        (
            "Bind for 0.0.0.0:8099 failed: port is already allocated",
            ["port 8099 is taken", "HTTP_PORT"],
        ),
        ("all predefined address pools have been fully subnetted", ["docker network prune"]),
        ("ERROR: failed to resolve source metadata for python:3.14", ["network", "python:3.14"]),
        ("ERROR: No version of flask==3 (from versions: none)", ["network", "PIP_INDEX_URL"]),
    ],
)
def test_a_failing_build_has_a_cause(clone: Clone, said: str, words: list[str]) -> None:
    says = {"compose build": f"echo '{said}'; exit 1", "image inspect": "exit 1"}
    assert_refused(setup(clone, says=says), *words)


def test_an_image_that_cannot_be_fetched_leaves_its_service_out_and_says_so(clone: Clone) -> None:
    """Also a service that needs another whose image is missing: Compose lists both images."""
    links = clone.folder / "links"
    says = {
        "compose pull": "exit 1",
        "compose config --images grafana": "printf 'here\\nprom/prometheus:v3\\n'",
        "image inspect prom/prometheus:v3": "exit 1",
        "compose up": f"echo \"${{GRAFANA_URL-default}} ${{PROMETHEUS_URL-default}}\" >'{links}'",
    }

    said = output_of(setup(clone, says=says))
    assert "Without grafana" in said and "Starting 4 services" in said
    assert "prom/prometheus:v3" in said
    assert links.read_text() == " default\n"  # the console has no link to a missing service


def test_without_an_essential_image_nothing_is_started(clone: Clone) -> None:
    says = {"compose pull": "exit 1", "image inspect image-of-nginx": "exit 1"}
    assert_refused(setup(clone, says=says), "nginx", "image-of-nginx", "docker load")


def test_a_failing_start_is_not_explained_by_an_image_not_fetched(clone: Clone) -> None:
    says = {
        "compose pull": "echo 'registry-1.docker.io: no such host'; exit 1",
        "compose up": "echo 'dependency failed to start'; exit 1",
    }

    result = setup(clone, says=says)

    assert result.returncode == 1 and "fetched" not in result.stderr
    assert "dependency failed to start" in result.stderr


@pytest.mark.parametrize(("image_is_here", "status"), [(True, 0), (False, 1)])
def test_without_network_an_old_image_starts(
    clone: Clone, image_is_here: bool, status: int
) -> None:
    says = {
        "compose build": "echo 'ERROR: failed to resolve source metadata for python:3.14'; exit 1",
        "compose config --images web": "echo devops-starter:local",
        "image inspect devops-starter:local": "true" if image_is_here else "exit 1",
    }

    result = setup(clone, says=says)

    assert result.returncode == status, result.stderr
    assert ("Not built:" in result.stdout) is image_is_here


@pytest.mark.parametrize(
    ("redis", "status"),
    [
        ("redis running healthy 0unless-stopped", 0),
        ("redis running  0unless-stopped", 0),  # without a health check, or with a disabled one
        ("redis exited healthy 0unless-stopped", 1),
        ("redis exited  0unless-stopped", 1),
        ("redis restarting  1unless-stopped", 1),
        ("redis created  0unless-stopped", 1),
        ("redis running unhealthy 0unless-stopped", 1),
    ],
)
def test_status_and_start_fail_if_a_service_does(clone: Clone, redis: str, status: int) -> None:
    says = {
        "compose ps": "echo container",
        "inspect": f"printf 'init exited healthy 0no\\n{redis}\\n'",
    }

    state, start = setup(clone, "--status", says=says), setup(clone, says=says)

    assert state.returncode == start.returncode == status
    assert ("Not in order: redis" in state.stdout) is bool(status)
    assert ("redis, its last lines" in start.stderr) is bool(status)


def test_the_settings_file_is_made_once_for_its_owner_alone(clone: Clone) -> None:
    settings = clone.folder / "infrastructure" / ".env"

    output_of(setup(clone))
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert settings.read_text() == (settings.parent / ".env.example").read_text()
    assert setup(clone, settings="LOG_LEVEL=DEBUG\n").returncode == 0
    assert settings.read_text() == "LOG_LEVEL=DEBUG\n"
    settings.unlink()
    setup(clone, says={"version": "echo 27.5.1"})  # it gets the networks it knows
    assert settings.read_text().splitlines()[-1] == "NETWORK_GATEWAY=nat"


def test_a_deployed_version_is_not_built_over(clone: Clone) -> None:
    setup(clone, settings="WEB_IMAGE=registry.example/shop:1.2.3\n")
    calls = Programs(clone.folder / "bin").calls
    assert calls and not [call for call in calls if "compose" in call and " build" in call]


def test_reset_deletes_nothing_unasked(clone: Clone) -> None:
    result = setup(clone, "--reset", says={"compose --profile": "echo DELETED"})
    assert_refused(result, "--yes")
    assert "DELETED" not in result.stdout


def test_status_of_a_stack_that_does_not_run_is_3(clone: Clone) -> None:
    assert setup(clone, "--status").returncode == 3
