"""infrastructure/.env.example: what is set there reaches the container it is meant for."""

import re
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "infrastructure"
COMPOSE = (FOLDER / "docker-compose.yml").read_text(encoding="utf-8")
EXAMPLE = (FOLDER / ".env.example").read_text(encoding="utf-8")
VARIABLES = re.findall(r"^#?([A-Z][A-Z0-9_]+)=", EXAMPLE, re.MULTILINE)


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_variable_is_used_by_the_stack(variable: str) -> None:
    assert re.search(rf"\$\{{{variable}[}}:-]", COMPOSE)


def test_no_service_names_a_variable_without_saying_where_its_value_comes_from() -> None:
    """Compose would look for it beside compose.yaml alone, and never in infrastructure/.env."""
    services = yaml.safe_load(COMPOSE)["services"]
    assert len(VARIABLES) > 30

    bare = [
        f"{service}.{name}"
        for service, what in services.items()
        for name, value in what.get("environment", {}).items()
        if value is None
    ]

    assert bare == []
