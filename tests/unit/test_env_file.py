"""infrastructure/.env: read and changed; .env.example names every setting, each is used."""

import re
from pathlib import Path

import env_file
import pytest
import yaml
from command_error import CommandError

from app.config import environment_names
from tests.support.paths import ROOT


def test_variables_are_read_without_quotes_and_comments(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# settings\nHTTP_PORT=80\n #NOT=this\n\nNAME='a=b'\n")
    assert env_file.read(file) == {"HTTP_PORT": "80", "NAME": "a=b"}
    assert not env_file.read(tmp_path / "missing")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# s\nA=old:1\n#A=comment\nB=3\n", "# s\nA=new:2\n#A=comment\nB=3\n"),
        ("B=3", "B=3\nA=new:2\n"),
        (None, "A=new:2\n"),
    ],
)
def test_a_value_is_set_and_all_else_stays(tmp_path: Path, before: str | None, after: str) -> None:
    file = tmp_path / ".env"
    if before is not None:
        file.write_text(before)
        file.chmod(0o640)

    env_file.set_value(file, "A", "new:2")

    assert file.read_text() == after
    # A new file is for its owner alone; an existing one keeps its mode.
    assert file.stat().st_mode & 0o777 == (0o600 if before is None else 0o640)


def test_a_folder_that_is_missing_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file or directory"):
        env_file.set_value(tmp_path / "missing" / ".env", "A", "1")


FOLDER = ROOT / "infrastructure"
COMPOSE = (FOLDER / "docker-compose.yml").read_text(encoding="utf-8")
OVERLAYS = "".join(
    (FOLDER / f"docker-compose.{name}.yml").read_text(encoding="utf-8")
    for name in ("observability", "vault")
)
EXAMPLE = (FOLDER / ".env.example").read_text(encoding="utf-8")
OF_THE_STACK, _, WITHOUT_CONTAINERS = EXAMPLE.partition("# --- Without containers")


def variables(text: str) -> list[str]:
    return re.findall(r"^#?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE)


def test_every_setting_of_the_service_is_explained_once() -> None:
    named = variables(EXAMPLE)
    assert environment_names() - set(named) == set()
    assert len(named) == len(set(named))


@pytest.mark.parametrize("variable", variables(OF_THE_STACK))
def test_every_variable_is_used_by_the_stack(variable: str) -> None:
    assert re.search(rf"\$\{{{variable}[}}:-]", COMPOSE + OVERLAYS)


def test_no_service_names_a_variable_without_saying_where_its_value_comes_from() -> None:
    """Compose would look for it beside compose.yaml alone, and never in infrastructure/.env."""
    services = yaml.safe_load(COMPOSE)["services"]

    bare = [
        f"{service}.{name}"
        for service, what in services.items()
        for name, value in what.get("environment", {}).items()
        if value is None
    ]

    assert bare == []
