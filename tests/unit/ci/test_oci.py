"""scripts/ci/oci.py: what is in an image archive."""

from pathlib import Path

import pytest

from tests.support.ci_scripts import Run
from tests.support.oci_archive import Entry, OciArchive


@pytest.fixture
def archive(tmp_path: Path) -> tuple[Path, Entry, list[Entry]]:
    """(file, what names the image, its platforms); an attestation lies beside them."""
    made = OciArchive()
    platforms = [made.platform("amd64", [1_000_000, 2_000_000]), made.platform("arm64", [500_000])]
    attestation = made.platform("amd64", [10], shown="unknown/unknown")
    top = made.index([*platforms, attestation])
    return made.write(tmp_path / "image.tar", [top]), top, platforms


def test_the_digest_is_that_of_all_platforms_together(
    run: Run, archive: tuple[Path, Entry, list[Entry]]
) -> None:
    path, top, _ = archive

    assert run("oci.py", "digest", path).stdout.strip() == top["digest"]


def test_later_steps_get_a_digest_for_each_platform_and_none_for_attestations(
    run: Run, archive: tuple[Path, Entry, list[Entry]]
) -> None:
    path, top, (amd64, arm64) = archive

    assert run("oci.py", "outputs", path).stdout.splitlines() == [
        f"digest={top['digest']}",
        f"digest-amd64={amd64['digest']}",
        f"digest-arm64={arm64['digest']}",
    ]
    assert run("oci.py", "platforms", path).stdout.split() == ["linux/amd64", "linux/arm64"]


def test_an_image_for_one_platform_needs_no_list_of_them(run: Run, tmp_path: Path) -> None:
    made = OciArchive()
    only = made.platform("amd64", [1])
    path = made.write(tmp_path / "image.tar", [only])

    assert run("oci.py", "digest", path).stdout.strip() == only["digest"]
    assert run("oci.py", "platforms", path).stdout.split() == ["linux/amd64"]


def test_another_image_than_the_one_that_was_built_is_not_used(
    run: Run, archive: tuple[Path, Entry, list[Entry]]
) -> None:
    path, top, (amd64, _) = archive

    assert run("oci.py", "verify", path, top["digest"]).returncode == 0
    refused = run("oci.py", "verify", path, amd64["digest"])
    assert refused.returncode == 1 and "changed or rebuilt" in refused.stderr


@pytest.mark.parametrize("content", [b"", b"not a tar file", None])
def test_a_file_that_is_no_archive_is_told_in_a_line(
    run: Run, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "image.tar"
    if content is not None:
        path.write_bytes(content)

    done = run("oci.py", "digest", path)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "no image archive" in done.stderr


def test_an_archive_of_two_images_is_not_guessed_at(run: Run, tmp_path: Path) -> None:
    made = OciArchive()
    path = made.write(
        tmp_path / "i.tar", [made.platform("amd64", [1]), made.platform("amd64", [2])]
    )

    assert "it holds 2 images" in run("oci.py", "digest", path).stderr


def test_the_summary_shows_what_a_host_downloads(
    run: Run, archive: tuple[Path, Entry, list[Entry]]
) -> None:
    path, top, _ = archive

    text = run("summary.py", "image", path).stdout

    assert top["digest"] in text
    assert "| linux/amd64 | 3.0 MB | 2 |" in text
    assert "| linux/arm64 | 0.5 MB | 1 |" in text
