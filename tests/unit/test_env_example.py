"""infrastructure/.env.example names every setting, and what is set there reaches a container."""

import re

import pytest
import yaml

from app.config import environment_names
from tests.support.paths import ROOT

FOLDER = ROOT / "infrastructure"
COMPOSE = (FOLDER / "docker-compose.yml").read_text(encoding="utf-8")
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
    assert re.search(rf"\$\{{{variable}[}}:-]", COMPOSE)


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
