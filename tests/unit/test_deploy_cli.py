"""What a deploy is told: options, names of images, and the settings of Compose."""

import socket
from pathlib import Path

import pytest
from command_error import CommandError
from deploy import docker_client
from deploy.cli import parse, who
from deploy.docker_client import DockerClient, check_reference, firm_name, name_for_build

from app import __version__
from tests.support.processes import Programs


def test_without_arguments_the_clone_is_built_and_switched_to_at_once() -> None:
    given = parse([])
    assert (given.action, given.image, given.strategy) == (None, None, "blue-green")
    assert given.watch_seconds == 20
    assert given.settings.parts[-2:] == ("infrastructure", ".env")


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        (["--strategy", "canary"], 60),
        (["--strategy", "canary", "--step-seconds", "5"], 5),
        (["--rollback"], 0),  # it must not be refused
    ],
)
def test_each_kind_of_deploy_is_watched_for_its_time(arguments: list[str], seconds: float) -> None:
    assert parse(arguments).watch_seconds == seconds


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--strategy", "rolling"], "invalid choice: 'rolling'"),
        (["--step-seconds", "soon"], "'soon' is not a number from 1"),
        (["--max-error-ratio", "20"], "'20' is not a number from 0 to 1"),
        (["--max-p99-ms", "nan"], "'nan' is not a number from 1"),
        (["--rollback", "--image", "app:1"], "--image: not allowed with argument --rollback"),
        (["--rollback", "--recover"], "--recover: not allowed with argument --rollback"),
        (["--rollback", "--strategy", "canary"], "--strategy has no meaning with --rollback"),
        (["--history", "--dry-run"], "--dry-run has no meaning with --history"),
        (["--env-file", "/does/not/exist"], "there is no file /does/not/exist"),
        (["app:1"], "unrecognized arguments: app:1"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    written = capsys.readouterr().err
    assert ended.value.code == 2
    assert line in written and written.startswith("error: ") and written.count("\n") == 1


def test_a_user_without_a_name_is_called_by_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTOR", "SUDO_USER", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 123_456_789)
    assert who() == f"123456789@{socket.gethostname()}"


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
