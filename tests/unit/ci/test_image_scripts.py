"""The scripts that build, load, scan, push, sign and verify an image; the tools are stand-ins."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.ci_scripts import ROOT, Programs, Run
from tests.support.oci_archive import OciArchive

ZEROS = f"sha256:{'0' * 64}"
# Does what `skopeo copy` does as far as the scripts look: a file, or the digest that arrived.
SKOPEO = """
while (($#)); do
  case $1 in
    --digestfile) echo "$ARRIVED" >"$2" && shift ;;
    docker-archive:*) file=${1#docker-archive:} && : >"${file%%:*}" ;;
  esac
  shift
done
"""
# Writes the report it is asked for: the one in $REPORT for findings.
TRIVY = """
format=json
while (($#)); do
  case $1 in
    --format) format=$2 && shift ;;
    --output) output=$2 && shift ;;
  esac
  shift
done
if [[ $format == json ]]; then echo "$REPORT" >"$output"; else echo "{}" >"$output"; fi
"""


@pytest.fixture
def image(tmp_path: Path) -> tuple[Path, str]:
    """(archive, digest) of an image for two platforms."""
    made = OciArchive()
    top = made.index([made.platform("amd64", [1]), made.platform("arm64", [1])])
    return made.write(tmp_path / "image.tar", [top]), top["digest"]


@pytest.fixture
def tools(programs: Programs) -> Programs:
    programs.add("skopeo", SKOPEO)
    programs.add("trivy", TRIVY)
    for name in ("docker", "cosign", "gh"):
        programs.add(name)
    return programs


def call(run: Run, tools: Programs, script: str, *arguments: str | Path, **env: str) -> Any:
    return run(script, *arguments, env={"PATH": tools.path} | env)


def test_a_build_says_its_version_and_takes_every_time_from_the_commit(
    run: Run, tools: Programs, tmp_path: Path
) -> None:
    output = tmp_path / "image.tar"
    done = call(run, tools, "build-image.sh", "--output", output, "--version", "1.2.3")

    assert done.returncode == 0, done.stderr
    (command,) = tools.calls
    assert "--platform linux/amd64,linux/arm64" in command
    assert "APP_VERSION=1.2.3" in command
    assert f"type=oci,dest={output},rewrite-timestamp=true" in command
    assert "--provenance=false --sbom=false" in command
    epoch = command.partition("SOURCE_DATE_EPOCH=")[2].split()[0]
    assert epoch.isdigit() and "BUILD_DATE=20" in command
    assert "--cache" not in command


def test_a_cache_is_read_where_there_is_one_and_replaced_after_the_build(
    run: Run, tools: Programs, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    tools.add("docker", f'mkdir "{cache}.new"; echo new >"{cache}.new/index.json"')
    arguments = ("--output", tmp_path / "image.tar", "--cache", cache)

    call(run, tools, "build-image.sh", *arguments)
    call(run, tools, "build-image.sh", *arguments)

    first, second = tools.calls
    assert "--cache-from" not in first and f"--cache-from type=local,src={cache}" in second
    assert os.listdir(cache) == ["index.json"]


def test_a_build_that_fails_leaves_the_cache_as_it_was(
    run: Run, tools: Programs, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "index.json").write_text("old")
    tools.add("docker", "exit 3")

    done = call(run, tools, "build-image.sh", "--output", tmp_path / "i.tar", "--cache", cache)

    assert done.returncode == 3
    assert (cache / "index.json").read_text() == "old"


def test_only_the_image_with_the_given_digest_is_loaded(
    run: Run, tools: Programs, image: tuple[Path, str]
) -> None:
    archive, digest = image
    good = ("--archive", archive, "--digest", digest, "--tag", "app:ci")
    bad = ("--archive", archive, "--digest", ZEROS, "--tag", "app:ci")

    assert call(run, tools, "load-image.sh", *bad).returncode == 1
    assert tools.calls == []
    assert call(run, tools, "load-image.sh", *good).returncode == 0
    assert [line.split()[:2] for line in tools.calls[1:]] == [
        ["docker", "load"],
        ["docker", "image"],
    ]


def scan(run: Run, tools: Programs, image: tuple[Path, str], folder: Path, *found: Any) -> Any:
    archive, digest = image
    return call(
        run,
        tools,
        "scan-image.sh",
        *("--archive", archive, "--digest", digest, "--output", folder),
        REPORT=json.dumps({"Results": [{"Vulnerabilities": list(found)}]}),
    )


def test_every_platform_is_scanned_with_the_reasoned_exceptions_and_listed(
    run: Run, tools: Programs, image: tuple[Path, str], tmp_path: Path
) -> None:
    done = scan(run, tools, image, tmp_path / "scan")

    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(tmp_path / "scan")) == [
        *("amd64.json", "amd64.sarif", "amd64.spdx.json"),
        *("arm64.json", "arm64.sarif", "arm64.spdx.json"),
    ]
    scans = [line for line in tools.calls if line.startswith("trivy") and "format json" in line]
    assert len(scans) == 2
    assert all("--ignorefile .trivyignore.yaml" in line for line in scans)
    machines = [
        line.split("--override-arch ")[1].split()[0] for line in tools.calls if "copy" in line
    ]
    assert machines == ["amd64", "arm64"]


def test_a_finding_that_has_a_fix_fails_the_scan(
    run: Run, tools: Programs, image: tuple[Path, str], tmp_path: Path
) -> None:
    finding = {
        "VulnerabilityID": "CVE-2026-1",
        "PkgName": "openssl",
        "InstalledVersion": "1",
        "FixedVersion": "2",
        "Severity": "CRITICAL",
    }
    done = scan(run, tools, image, tmp_path / "scan", finding)

    assert done.returncode == 1 and "CVE-2026-1" in done.stderr


def test_a_scanner_that_fails_is_no_clean_bill_of_health(
    run: Run, tools: Programs, image: tuple[Path, str], tmp_path: Path
) -> None:
    tools.add("trivy", "exit 1")

    assert scan(run, tools, image, tmp_path / "scan").returncode == 1


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


def verify(run: Run, tools: Programs, image: str) -> Any:
    arguments = ("--image", image, "--branch", "main")
    return call(run, tools, "verify-signature.sh", *arguments, GITHUB_REPOSITORY="o/n")


def test_a_signature_must_come_from_this_workflow_on_this_branch(run: Run, tools: Programs) -> None:
    done = verify(run, tools, f"ghcr.io/o/n@{ZEROS}")

    assert done.returncode == 0
    identity = "https://github.com/o/n/.github/workflows/docker-build.yml@refs/heads/main"
    assert (ROOT / ".github/workflows/docker-build.yml").is_file()
    assert tools.calls == [
        f"cosign verify ghcr.io/o/n@{ZEROS} --certificate-identity {identity}"
        " --certificate-oidc-issuer https://token.actions.githubusercontent.com"
    ]


def test_without_a_valid_signature_nothing_is_deployed(run: Run, tools: Programs) -> None:
    tools.add("cosign", "exit 1")

    done = verify(run, tools, f"ghcr.io/o/n@{ZEROS}")

    assert done.returncode == 1 and "has no valid signature" in done.stderr


def test_a_tag_cannot_be_verified_because_it_may_move(run: Run, tools: Programs) -> None:
    assert verify(run, tools, "ghcr.io/o/n:main").returncode == 1
    assert tools.calls == []
