"""Imports within the app run one way, as ARCHITECTURE.md draws them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

APP = ROOT / "app"
# A module may import rooms of a lower rank, and its own.
RANKS = {
    "app.version": 0,
    "app.otel_settings": 0,
    "app.config": 1,
    "app.utils": 2,
    "app.redis_client": 3,
    # State and threads of the processes: create_app needs them, and they know no server.
    "app.server.lifecycle": 3,
    "app.server.periodic_tasks": 4,
    "app.server.process_metrics": 4,
    "app.server.secret_files": 4,
    "app.server.cpu_limit": 4,
    "app.http": 4,
    "app.services": 4,
    "app.routes": 5,
    "app.factory": 6,
    "app.server": 7,
    "app.main": 8,
    "app.__main__": 9,
}
MODULES = sorted(
    path for path in APP.rglob("*.py") if path.parent != APP or path.stem != "__init__"
)


def name_of(path: Path) -> str:
    parts = path.relative_to(APP.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def room_of(module: str) -> str:
    """The most specific entry of RANKS that a module belongs to."""
    matches = [room for room in RANKS if f"{module}.".startswith(f"{room}.")]
    return max(matches, key=len)


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "app":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                is_module = (APP.parent / full.replace(".", "/")).with_suffix(".py").exists()
                yield full if is_module else str(node.module)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_lower_rooms_and_its_own_and_none_in_a_function(path: Path) -> None:
    tree, own = ast.parse(path.read_text(encoding="utf-8")), room_of(name_of(path))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    rooms = {imported: room_of(imported) for imported in imports(tree)}
    assert not [name for name, room in rooms.items() if room != own and RANKS[room] >= RANKS[own]]
    assert not [name for function in functions for name in imports(function)]
