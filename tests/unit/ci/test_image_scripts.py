"""The scripts that build, load and scan an image; the tools are stand-ins."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.ci_scripts import Programs, Run, call

ZEROS = f"sha256:{'0' * 64}"


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


def scan_published(run: Run, tools: Programs, folder: Path, answer: str) -> Any:
    """With a registry that answers so, or has the image when it answers nothing."""
    tools.add("skopeo", f'[[ -z "{answer}" ]] || {{ echo "{answer}" >&2; exit 1; }}')
    arguments = ("--image", "ghcr.io/o/n:main", "--if-published", "--output", folder)
    return call(run, tools, "scan-image.sh", *arguments, REPORT=json.dumps({"Results": []}))


def test_an_image_in_a_registry_is_scanned(run: Run, tools: Programs, tmp_path: Path) -> None:
    done = scan_published(run, tools, tmp_path / "scan", "")

    assert done.returncode == 0, done.stderr
    assert any(line.endswith(" ghcr.io/o/n:main") for line in tools.calls if "trivy" in line)
    assert "| amd64 |" in done.stdout


@pytest.mark.parametrize("answer", ["reading manifest: manifest unknown", "name unknown", "denied"])
def test_where_nothing_was_published_yet_the_scan_is_skipped_in_a_sentence(
    run: Run, tools: Programs, tmp_path: Path, answer: str
) -> None:
    done = scan_published(run, tools, tmp_path / "scan", answer)

    assert done.returncode == 0 and "ghcr.io/o/n:main is skipped" in done.stdout
    assert not [line for line in tools.calls if "trivy" in line]


def test_a_registry_that_does_not_answer_fails_the_scan(
    run: Run, tools: Programs, tmp_path: Path
) -> None:
    done = scan_published(run, tools, tmp_path / "scan", "dial tcp: i/o timeout")

    assert done.returncode == 1 and "i/o timeout" in done.stderr
