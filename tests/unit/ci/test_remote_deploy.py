"""scripts/ci/remote-deploy.sh, with an ssh that runs its command right here."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.listener import Asked, listening
from tests.support.paths import ROOT
from tests.support.processes import Programs, output_of, run
from tests.support.ci_scripts import Deployment

IMAGE = f"ghcr.io/o/n@sha256:{'1' * 64}"


def test_a_known_host_gets_files_and_deploys(deployment: Deployment, programs: Programs) -> None:
    deployment.git.write("not-in-git", "")
    settings = {"DEPLOY_USER": "ship", "DEPLOY_PORT": "2222"}

    said = output_of(deployment.run("--image", IMAGE, "--strategy", "canary", **settings))
    assert f"deployed --image {IMAGE} --strategy canary" in said
    assert deployment.read("calls") == f"{deployment.host} --image {IMAGE} --strategy canary\n"
    assert deployment.read("nginx.conf") == "first"
    assert not (deployment.host / "not-in-git").exists()
    assert not (deployment.host / ".incoming").exists()
    assert programs.calls
    for call in programs.calls:
        assert "StrictHostKeyChecking=yes" in call and "UserKnownHostsFile=" in call
        assert "-p 2222 ship@app.example.org" in call


def test_a_file_that_git_deleted_goes_and_what_it_never_had_stays(deployment: Deployment) -> None:
    deployment.git.write("rules/old.yml", "old")
    deployment.git.commit("feat: rules")
    deployment.run("--image", IMAGE)
    (deployment.host / "rules" / "mine.yml").write_text("mine")
    (deployment.host / ".env").write_text("KEY=value")
    (deployment.git.folder / "rules" / "old.yml").unlink()
    deployment.git.commit("feat: fewer rules")

    deployment.run("--image", IMAGE)

    assert [path.name for path in (deployment.host / "rules").iterdir()] == ["mine.yml"]
    assert deployment.read(".env") == "KEY=value"


def test_the_first_deployment_to_a_clone_knows_the_clones_files(deployment: Deployment) -> None:
    deployment.git.write("old.conf", "old")
    deployment.git.commit("feat: old")
    deployment.git("clone", "--quiet", str(deployment.git.folder), str(deployment.host))
    (deployment.git.folder / "old.conf").unlink()
    deployment.release(nginx_conf="second")

    deployment.run("--image", IMAGE)
    assert deployment.read("nginx.conf") == "second"
    assert not (deployment.host / "old.conf").exists()

    deployment.run("--rollback")
    assert deployment.read("nginx.conf") == "first"
    assert deployment.read("old.conf") == "old"


def test_mounts_stay_and_a_rollback_brings_back_files(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.run("--image", IMAGE, "--strategy", "blue-green")
    mounted = tmp_path / "as a container sees it"
    mounted.hardlink_to(deployment.host / "nginx.conf")
    deployment.release(nginx_conf="second")
    deployment.run("--image", IMAGE)
    assert mounted.read_text() == "second"

    newest = deployment.git("rev-parse", "HEAD").strip()
    assert deployment.read(".release/commit").strip() == newest
    output_of(deployment.run("--rollback"))
    assert mounted.read_text() == deployment.read("nginx.conf") == "first"
    # What is older than that is still refused.
    before = deployment.git("rev-parse", "HEAD^").strip()
    assert deployment.read(".release/commit").strip() == before
    calls = deployment.read("calls")
    assert calls.splitlines()[-1] == f"{deployment.host} --rollback"
    offered = run([ROOT / "scripts" / "deploy.sh", "--help"]).stdout
    given = {word for word in calls.split() if word.startswith("--")}
    assert given == {"--image", "--strategy", "--rollback"}
    assert all(f"  {option}" in offered for option in given)
    assert "{blue-green,canary}" in offered


def test_a_deployment_that_fails_leaves_the_files_as_they_were(deployment: Deployment) -> None:
    deployment.run("--image", IMAGE)
    (deployment.host / "refuse").touch()
    deployment.release(nginx_conf="second", added_conf="")

    done = deployment.run("--image", IMAGE)

    assert done.returncode == 1
    assert deployment.read("nginx.conf") == "first"
    assert not (deployment.host / "added.conf").exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        (["--image", "ghcr.io/o/n:latest"], {}, "by digest"),
        (["--image", IMAGE, "--strategy", "hope"], {}, "must be blue-green or canary, not 'hope'"),
        (["--image", IMAGE], {"DEPLOY_HOST": ""}, "DEPLOY_HOST is not set"),
        (["--image", IMAGE], {"DEPLOY_KNOWN_HOSTS": ""}, "DEPLOY_KNOWN_HOSTS is not set"),
    ],
)
def test_what_is_missing_or_wrong_is_told_before_the_host_hears_of_it(
    deployment: Deployment, arguments: list[str], environment: dict[str, Any], complaint: str
) -> None:
    done = deployment.run(*arguments, **environment)
    assert done.returncode == 1 and complaint in done.stderr
    assert not deployment.host.exists()


def test_an_unusable_key_is_not_repeated(deployment: Deployment, programs: Programs) -> None:
    programs.add("ssh-agent", "echo SSH_AGENT_PID=")
    programs.add("ssh-add", "cat >/dev/null; exit 1")
    done = deployment.run("--image", IMAGE, DEPLOY_SSH_KEY="half-of-a-key")
    assert done.returncode == 1 and "DEPLOY_SSH_KEY is not a private key" in done.stderr
    assert "half-of-a-key" not in done.stderr + done.stdout
    assert not deployment.host.exists()


def test_a_host_that_cannot_be_asked_gets_nothing(
    deployment: Deployment, programs: Programs
) -> None:
    programs.add("ssh", "echo refused >&2; exit 255")
    done = deployment.run("--image", IMAGE)
    assert (done.returncode, len(programs.calls)) == (1, 1)
    assert "refused" in done.stderr and "no connection to app.example.org" in done.stderr


def test_an_older_commit_is_deployed_only_on_request(deployment: Deployment) -> None:
    second = deployment.release(nginx_conf="second")
    for commit in (deployment.first, second, second):
        assert deployment.run("--image", IMAGE, "--commit", commit).returncode == 0
    older = ("--image", IMAGE, "--commit", deployment.first)

    refused = deployment.run(*older)
    assert refused.returncode == 1 and "--allow-older goes back" in refused.stderr
    assert deployment.read("nginx.conf") == "second"
    assert len(deployment.read("calls").splitlines()) == 3

    output_of(deployment.run(*older, "--allow-older"))
    assert deployment.read("nginx.conf") == "first"
    assert deployment.read(".release/commit") == f"{deployment.first}\n"


def outside(commit: str, *healths: str) -> Any:
    """The service as it is seen from outside, with one health after the other."""
    left = list(healths)

    def answer(asked: Asked) -> tuple[int, Any]:
        if asked.path != "/health":
            return 200, {"commit": commit}
        return 200, {"status": left.pop(0) if len(left) > 1 else left[0]}

    return answer


def test_a_deployment_may_take_its_time_to_become_healthy(deployment: Deployment) -> None:
    with listening(outside(deployment.first, "unhealthy", "healthy")) as server:
        done = deployment.run("--image", IMAGE, DEPLOY_URL=server.url, CHECK_SECONDS="30")
    assert done.returncode == 0, done.stderr
    assert "is healthy and runs" in done.stdout


@pytest.mark.parametrize(
    ("commit", "health"), [("", "degraded"), ("b" * 40, "healthy"), (None, "healthy")]
)
def test_what_does_not_serve_goes_back(
    deployment: Deployment, commit: str | None, health: str
) -> None:
    deployment.run("--image", IMAGE)
    second = deployment.release(nginx_conf="second")
    with listening(outside(commit or second, health)) as server:
        url = "http://127.0.0.1:1" if commit is None else server.url
        done = deployment.run("--image", IMAGE, DEPLOY_URL=url, CHECK_SECONDS="0")

    assert done.returncode == 1 and "rolled back" in done.stderr
    assert deployment.read("nginx.conf") == "first"
    assert deployment.read("calls").splitlines()[-1].endswith("--rollback")
