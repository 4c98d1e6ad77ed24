"""The line in .env that says what is in service."""

from pathlib import Path

import pytest

from scripts.lib.deploy import Problem
from scripts.lib.deploy.settings_file import set_image


def test_the_image_is_replaced_and_every_other_line_stays(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# settings\nWEB_IMAGE=old:1\n#WEB_IMAGE=commented\nWEB_REPLICAS=3\n")

    set_image(file, "new:2")

    expected = "# settings\nWEB_IMAGE=new:2\n#WEB_IMAGE=commented\nWEB_REPLICAS=3\n"
    assert file.read_text() == expected


def test_the_image_is_added_on_a_line_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("WEB_REPLICAS=3")

    set_image(file, "new:2")

    assert file.read_text() == "WEB_REPLICAS=3\nWEB_IMAGE=new:2\n"


def test_a_file_that_is_not_there_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    set_image(tmp_path / ".env", "new:2")

    assert (tmp_path / ".env").read_text() == "WEB_IMAGE=new:2\n"
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_the_file_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.touch(mode=0o640)
    file.chmod(0o640)

    set_image(file, "new:2")

    assert file.stat().st_mode & 0o777 == 0o640


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="No such file or directory"):
        set_image(tmp_path / "missing" / ".env", "new:2")
