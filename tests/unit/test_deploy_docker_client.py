"""Names of images: which are refused, and which name a deploy gives one. Compose's settings."""

from pathlib import Path

import pytest
from command_error import CommandError
from deploy import docker_client
from deploy.docker_client import DockerClient, check_reference, firm_name, name_for_build

from app import __version__
from tests.support.processes import Programs

ID = "sha256:0123456789abcdef" + 48 * "0"
DIGEST = "sha256:" + 64 * "f"


def test_a_name_that_says_its_version_is_accepted() -> None:
    for name in ("app:1.4.0", "localhost:5000/app:1", f"ghcr.io/a/b@{DIGEST}", f"a/b:1@{DIGEST}"):
        check_reference(name)


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("app:latest", "app:latest names no version"),
        ("localhost:5000/app", "names no version"),
        *[(name, "is not an image") for name in ("app@sha256:abc", "--privileged", "")],
    ],
)
def test_any_other_is_refused(reference: str, problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        check_reference(reference)


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        (f"ghcr.io/you/app@{DIGEST}", f"ghcr.io/you/app@{DIGEST}"),
        ("ghcr.io/you/app:main", f"ghcr.io/you/app@{DIGEST}"),
        ("shop:local", "shop:local-0123456789ab"),
        ("localhost:5000/app:1", "localhost:5000/app:1-0123456789ab"),
        ("shop:local-0123456789ab", "shop:local-0123456789ab"),
        ("shop:local-fedcba987654", "shop:local-0123456789ab"),  # moved to another image
    ],
)
def test_a_deploy_gives_an_image_a_name_that_cannot_move(reference: str, name: str) -> None:
    digests = [f"other.io/app@{DIGEST}", f"ghcr.io/you/app@{DIGEST}"]
    assert firm_name(reference, ID, digests) == name


def test_an_image_that_is_built_has_the_version_of_the_clone() -> None:
    name, version, _commit = name_for_build()
    assert version == __version__
    assert name.startswith(f"devops-starter:{__version__}")


@pytest.mark.parametrize("chosen", ["", "COMPOSE_ENV_FILES", "COMPOSE_DISABLE_ENV_FILE"])
def test_settings_come_from_one_file_unless_another_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    """Without being told, Compose would prefer a .env in the clone's root."""
    settings = tmp_path / "infrastructure" / ".env"
    settings.parent.mkdir()
    settings.touch()
    programs = Programs(tmp_path / "programs")
    monkeypatch.setenv("PATH", programs.path)
    monkeypatch.setattr(docker_client, "ROOT", tmp_path)
    if chosen:
        monkeypatch.setenv(chosen, "1")

    programs.add("docker")

    DockerClient().compose("ps")

    assert (f"--env-file {settings} ps" in programs.calls[-1]) is not bool(chosen)
