"""scripts/ci/publish-release.sh, in a copy of the project and with a stand-in for gh."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.ci_scripts import ROOT, Programs

IMAGE = f"ghcr.io/o/n@sha256:{'0' * 64}"
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-01-02\n\n- Count `hits`.\n"
# There is no such release yet, and creating one notes what it was told.
GH = "[[ $2 != view ]] || exit ${PUBLISHED:-1}"


@pytest.fixture
def project(tmp_path: Path, programs: Programs) -> Path:
    programs.add("gh", GH)
    scripts = tmp_path / "project" / "scripts"
    shutil.copytree(ROOT / "scripts" / "ci", scripts / "ci", ignore=shutil.ignore_patterns("__*"))
    (scripts / "lib").mkdir()
    shutil.copy2(ROOT / "scripts" / "lib" / "common.sh", scripts / "lib")
    (scripts.parent / "CHANGELOG.md").write_text(CHANGELOG)
    return scripts.parent


def publish(
    project: Path, programs: Programs, version: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(project / "scripts" / "ci" / "publish-release.sh", "--version", version),
            *("--commit", "abc", "--image", IMAGE, "amd64.spdx.json", "arm64.spdx.json"),
        ],
        env={"PATH": programs.path, "GITHUB_REPOSITORY": "o/n"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_release_has_the_notes_the_image_and_the_files(
    project: Path, programs: Programs
) -> None:
    done = publish(project, programs, "1.2.3")

    assert done.returncode == 0, done.stderr
    told = "\n".join(programs.calls)
    assert "gh release create v1.2.3 --target abc --title v1.2.3 --notes - Count `hits`." in told
    assert f"--repository o/n --branch main --image {IMAGE}" in told
    assert told.endswith("amd64.spdx.json arm64.spdx.json")


def test_publishing_again_does_nothing(project: Path, programs: Programs) -> None:
    done = publish(project, programs, "1.2.3", PUBLISHED="0")

    assert (done.returncode, done.stdout) == (0, "v1.2.3 is published already.\n")
    assert programs.calls == ["gh release view v1.2.3"]


def test_a_version_without_notes_is_not_published(project: Path, programs: Programs) -> None:
    done = publish(project, programs, "9.8.7")

    assert done.returncode == 1 and "no entries under [9.8.7]" in done.stderr
    assert programs.calls == []


def test_what_is_no_version_is_refused(project: Path, programs: Programs) -> None:
    assert "must be like 1.2.3, not 'v1'" in publish(project, programs, "v1").stderr
