"""The scripts that log in, push, sign and verify an image; the tools are stand-ins."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.ci_scripts import ROOT, Programs, Run, call

ZEROS = f"sha256:{'0' * 64}"


def push(run: Run, tools: Programs, source: str, digest: str, arrived: str = "") -> Any:
    return call(
        run,
        tools,
        "push-image.sh",
        *("--source", source, "--digest", digest),
        *("--images", "ghcr.io/o/n docker.io/u/n", "--tags", "main sha-0"),
        ARRIVED=arrived or digest,
    )


def test_every_image_gets_every_tag_with_all_platforms_unchanged(
    run: Run, tools: Programs, image: tuple[Path, str]
) -> None:
    archive, digest = image
    done = push(run, tools, f"oci-archive:{archive}", digest)

    assert done.returncode == 0, done.stderr
    assert [line.split("docker://")[1] for line in tools.calls] == [
        *("ghcr.io/o/n:main", "ghcr.io/o/n:sha-0"),
        *("docker.io/u/n:main", "docker.io/u/n:sha-0"),
    ]
    assert all("--all --preserve-digests" in line for line in tools.calls)
    assert "- `docker.io/u/n:sha-0`" in done.stdout


def test_an_archive_of_another_image_is_not_pushed(
    run: Run, tools: Programs, image: tuple[Path, str]
) -> None:
    assert push(run, tools, f"oci-archive:{image[0]}", ZEROS).returncode == 1
    assert tools.calls == []


@pytest.mark.parametrize(
    "source", ["docker://ghcr.io/o/n:main", f"docker://ghcr.io/o/n@{ZEROS[:-1]}1"]
)
def test_a_pushed_image_gets_more_tags_by_its_digest_only(
    run: Run, tools: Programs, source: str
) -> None:
    done = push(run, tools, source, ZEROS)

    assert done.returncode == 1 and "by the digest" in done.stderr
    assert push(run, tools, f"docker://ghcr.io/o/n@{ZEROS}", ZEROS).returncode == 0


def test_an_image_that_arrives_as_another_stops_the_run(
    run: Run, tools: Programs, image: tuple[Path, str]
) -> None:
    done = push(run, tools, f"oci-archive:{image[0]}", image[1], arrived=ZEROS)

    assert done.returncode == 1 and f"arrived as {ZEROS}" in done.stderr


DOCKER_LOGIN = """
[[ $1 != login ]] || { read -r password; echo "$2 $password" >>"$0.passwords"; }
[[ $2 != "$REFUSING" ]] || { echo "denied" >&2; exit 1; }
"""


def test_without_docker_hub_it_is_left_out_in_a_sentence(run: Run, tools: Programs) -> None:
    tools.add("docker", DOCKER_LOGIN)
    done = call(run, tools, "registry-login.sh", "--image", "ghcr.io/o/n", GITHUB_TOKEN="t0ken")

    assert done.returncode == 0, done.stderr
    assert "Docker Hub is skipped" in done.stdout
    assert "images=ghcr.io/o/n\n" in done.stdout
    assert tools.calls == ["docker login ghcr.io --username token --password-stdin"]


def test_who_only_reads_an_image_hears_nothing_of_other_registries(
    run: Run, tools: Programs
) -> None:
    """A deployment is not told that Docker Hub is skipped, which may well have the image."""
    tools.add("docker", DOCKER_LOGIN)
    arguments = ("registry-login.sh", "--image", "ghcr.io/o/n", "--only")
    done = call(run, tools, *arguments, GITHUB_TOKEN="t0ken")

    assert (done.returncode, done.stdout) == (0, "images=ghcr.io/o/n\n")


def test_with_docker_hub_the_image_goes_there_too_and_no_password_is_seen(
    run: Run, tools: Programs, tmp_path: Path
) -> None:
    tools.add("docker", DOCKER_LOGIN)
    done = call(
        run,
        tools,
        *("registry-login.sh", "--image", "ghcr.io/o/n"),
        GITHUB_TOKEN="t0ken",
        DOCKERHUB_USERNAME="me",
        DOCKERHUB_TOKEN="hub-t0ken",
    )

    assert "images=ghcr.io/o/n docker.io/me/n\n" in done.stdout
    passwords = (tmp_path / "programs" / "docker.passwords").read_text()
    assert passwords == "ghcr.io t0ken\ndocker.io hub-t0ken\n"
    assert "t0ken" not in "".join(tools.calls) + done.stdout + done.stderr


def test_a_registry_that_refuses_is_named(run: Run, tools: Programs) -> None:
    tools.add("docker", DOCKER_LOGIN)
    done = call(
        run,
        tools,
        *("registry-login.sh", "--image", "ghcr.io/o/n"),
        GITHUB_TOKEN="t0ken",
        REFUSING="ghcr.io",
    )

    assert done.returncode == 1 and "ghcr.io refused the login of token: denied" in done.stderr


def test_each_image_is_signed_by_digest_with_the_platforms_in_it(run: Run, tools: Programs) -> None:
    call(run, tools, "sign-image.sh", "--images", "ghcr.io/o/n docker.io/u/n", "--digest", ZEROS)

    assert tools.calls == [
        f"cosign sign --yes --recursive ghcr.io/o/n@{ZEROS}",
        f"cosign sign --yes --recursive docker.io/u/n@{ZEROS}",
    ]
    refused = call(run, tools, "sign-image.sh", "--images", "ghcr.io/o/n", "--digest", "latest")
    assert refused.returncode == 1 and len(tools.calls) == 2


def verify(run: Run, tools: Programs, image: str, branch: str = "main") -> Any:
    arguments = ("--image", image, "--branch", branch)
    return call(run, tools, "verify-signature.sh", *arguments, GITHUB_REPOSITORY="o/n.x")


def demanded(call_: str) -> dict[str, str]:
    """The options of a call of cosign, each with its value."""
    words = call_.split()
    return {word: words[at + 1] for at, word in enumerate(words) if word.startswith("--")}


def test_a_signature_must_come_from_a_run_of_this_repository_on_this_branch(
    run: Run, tools: Programs
) -> None:
    """Whoever calls docker-build.yml from elsewhere signs under its name, too."""
    done = verify(run, tools, f"ghcr.io/o/n@{ZEROS}", "release/1+2")

    assert done.returncode == 0
    call_ = tools.calls[-1]
    assert call_.startswith(f"cosign verify ghcr.io/o/n@{ZEROS} ")
    options = demanded(call_)
    assert options["--certificate-github-workflow-repository"] == "o/n.x"
    assert options["--certificate-github-workflow-ref"] == "refs/heads/release/1+2"
    issuer = "https://token.actions.githubusercontent.com"
    assert options["--certificate-oidc-issuer"] == issuer


WORKFLOW = "https://github.com/o/n.x/.github/workflows/docker-build.yml"


@pytest.mark.parametrize(
    ("identity", "accepted"),
    [
        (f"{WORKFLOW}@refs/heads/main", True),
        (f"{WORKFLOW}@{'0a' * 20}", True),
        (f"{WORKFLOW}@refs/heads/main2", False),
        (f"{WORKFLOW}@refs/pull/1/merge", False),
        (f"{WORKFLOW.replace('n.x', 'nix')}@refs/heads/main", False),
        (f"{WORKFLOW.replace('docker-build', 'other')}@refs/heads/main", False),
        (f"https://example.org/?{WORKFLOW}@refs/heads/main", False),
    ],
)
def test_the_signer_is_the_workflow_that_builds_by_branch_or_by_commit(
    run: Run, tools: Programs, identity: str, accepted: bool
) -> None:
    verify(run, tools, f"ghcr.io/o/n@{ZEROS}")

    assert (ROOT / ".github/workflows/docker-build.yml").is_file()
    pattern = demanded(tools.calls[-1])["--certificate-identity-regexp"]
    assert bool(re.search(pattern, identity)) is accepted


def test_without_a_valid_signature_nothing_is_deployed(run: Run, tools: Programs) -> None:
    tools.add("cosign", "exit 1")

    done = verify(run, tools, f"ghcr.io/o/n@{ZEROS}")

    assert done.returncode == 1 and "has no valid signature" in done.stderr


@pytest.mark.parametrize(("version", "old"), [("v2.6.4", True), ("v3.0.6", False)])
def test_a_cosign_that_cannot_find_such_signatures_is_named(
    run: Run, tools: Programs, version: str, old: bool
) -> None:
    """It would call every image unsigned, which is a worse thing to read."""
    tools.add("cosign", f'[[ $1 == version ]] && echo "GitVersion:    {version}"')

    done = verify(run, tools, f"ghcr.io/o/n@{ZEROS}")

    assert done.returncode == 1
    assert ("is too old" in done.stderr) is old


def test_a_tag_cannot_be_verified_because_it_may_move(run: Run, tools: Programs) -> None:
    assert verify(run, tools, "ghcr.io/o/n:main").returncode == 1
    assert tools.calls == []
