"""Backup and restore of Redis, by the very commands that docs/DEPLOYMENT.md gives."""

import re
from pathlib import Path

import requests

from tests.e2e.stack import Stack
from tests.support.paths import ROOT
from tests.support.processes import run, wait_until

SECTION = re.compile(r"^## Backup and restore of Redis$(.*?)^## ", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```sh$(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_a_backup_brings_back_what_was_there_when_it_was_made(
    stack: Stack, api: requests.Session, tmp_path: Path
) -> None:
    backup, restore = _commands()
    kept, deleted, added = (_new_item(stack, api, name) for name in ("kept", "deleted", "added"))
    assert api.delete(added).status_code == 204

    _run(backup, stack, tmp_path)
    assert api.delete(deleted).status_code == 204
    late = _new_item(stack, api, "after the backup")
    _run(restore, stack, tmp_path)

    wait_until(lambda: api.get(kept).status_code == 200, seconds=10, why="Redis is found again")
    assert api.get(deleted).status_code == 200
    assert api.get(added).status_code == 404
    assert api.get(late).status_code == 404


def test_a_backup_is_for_its_owner_alone(stack: Stack, tmp_path: Path) -> None:
    _run(_commands()[0], stack, tmp_path)

    assert (tmp_path / "redis-backup.rdb").stat().st_mode & 0o077 == 0


def _commands() -> tuple[str, str]:
    section = SECTION.search((ROOT / "docs" / "DEPLOYMENT.md").read_text())
    assert section
    backup, restore = BLOCK.findall(section[1])
    return backup, restore


def _run(commands: str, stack: Stack, folder: Path) -> None:
    command = ["bash", "-euo", "pipefail", "-c", commands]
    done = run(command, cwd=folder, env=stack.environment)
    assert done.returncode == 0, done.stdout + done.stderr


def _new_item(stack: Stack, api: requests.Session, name: str) -> str:
    """Its address."""
    answer = api.post(f"{stack.http}/api/v1/items", json={"name": name}, timeout=10)
    assert answer.status_code == 201, answer.text
    return f"{stack.http}/api/v1/items/{answer.json()['id']}"
